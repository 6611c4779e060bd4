#!/usr/bin/env python3
"""Add up what the test programs of one or more build folders counted, and close with one line.

Programs written with check say "100%: Checks: 12, Failures: 0, Errors: 0"; Python ones say "counted: ...".  A program
that says neither counts as one test by its result.
"""
import json
import re
import sys

CHECK = re.compile(r"^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)", re.M)
COUNTED = re.compile(r"^counted: (\d+) passed, (\d+) failed, (\d+) skipped", re.M)


def count(test):
    """(passed, failed, skipped) of one program's run."""
    text = (test.get("stdout") or "") + "\n" + (test.get("stderr") or "")
    totals = [0, 0, 0]
    for checks, failures, errors in CHECK.findall(text):
        bad = int(failures) + int(errors)
        totals[0] += int(checks) - bad
        totals[1] += bad
    for numbers in COUNTED.findall(text):
        totals = [a + int(b) for a, b in zip(totals, numbers)]
    if test["result"] == "SKIP" and not any(totals):
        return [0, 0, 1]
    ok = test["result"] in ("OK", "EXPECTEDFAIL", "SKIP")
    if not any(totals):
        return [1, 0, 0] if ok else [0, 1, 0]
    if not ok and not totals[1]:        # counted nothing bad, and ended badly all the same
        totals[1] += 1
    return totals


def main():
    totals, failures, skips = [0, 0, 0], [], []
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as log:
            for line in log:
                test = json.loads(line)
                numbers = count(test)
                totals = [a + b for a, b in zip(totals, numbers)]
                if numbers[1]:
                    failures.append(test["name"])
                skips += re.findall(r"^skipped: .*", test.get("stdout") or "", re.M)
    for skip in skips:
        print(skip)
    for name in failures:
        print(f"failed: {name}")
    print("{} passed, {} failed, {} skipped".format(*totals))
    sys.exit(1 if totals[1] or not totals[0] else 0)


if __name__ == "__main__":
    main()
