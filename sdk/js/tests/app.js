// Runs the tests of rules.js in a component, and prints a line for each.
import { rules } from './rules.js';

export const run = {
  run() {
    let failed = 0;
    for (const [name, test] of Object.entries(rules)) {
      try {
        test();
        console.log(`ok ${name}`);
      } catch (error) {
        failed += 1;
        console.log(`FAILED ${name}: ${error}\n${error?.stack}`);
      }
    }
    if (failed > 0) throw undefined;
  },
};
