"""Runs the tests of rules.py in a component, and prints a line for each. The arguments are what `map` is to do and which to run."""

import sys
import traceback

from componentize_py_types import Err
from wit_world import exports

import rules


class Run(exports.Run):
    def run(self) -> None:
        how, *names = sys.argv[1:]
        tests = {name: test for name, test in vars(rules).items() if name.startswith("it_")}
        failed = 0
        for name, test in tests.items():
            if (name in names) if names else not name.startswith("it_runs_out"):
                try:
                    test(how)
                    print("ok", name)
                except Exception:
                    failed += 1
                    print("FAILED", name)
                    traceback.print_exc(file=sys.stdout)
        if failed > 0:
            raise Err(None)
