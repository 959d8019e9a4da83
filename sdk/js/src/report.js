/**
 * For an export whose WIT type is a `result` with an error of type `string`: whatever it throws is that error. Without it, a component traps
 * where JavaScript throws an `Error`, and its caller learns no more than that.
 */
export function reported(work) {
  return (...args) => {
    try {
      return work(...args);
    } catch (error) {
      // The bindings take a string that is thrown for the WIT's error.
      throw error instanceof Error ? describe(error) : String(error);
    }
  };
}

/** One line: what, and where in the component's own code. */
function describe(error) {
  const lines = (error.stack ?? '').split('\n').filter((line) => /\.js:\d+/.test(line));
  const own = lines.find((line) => !line.includes('mappable-guest/') && !line.includes('initializer.js'));
  const [, file, line] = own?.match(/([^/@]+\.js):(\d+)/) ?? [];
  return `${error.name}: ${error.message}${file === undefined ? '' : ` (${file}, line ${line})`}`;
}
