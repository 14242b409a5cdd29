"""Fuzzes the server as its OpenAPI document describes it, with Schemathesis.

No answer may be 5xx, or have a status, a content type or a body that is not documented. Run by
`cargo xtask test --only schemathesis`, which starts the server. `SECONDS` bounds the run.
"""

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
URL = os.environ["RINGBACK_URL"]
TOKEN = os.environ["RINGBACK_TOKEN"]
# In CI the same requests each time; elsewhere others each time, as long as somebody waits.
CI = "CI" in os.environ
SECONDS = "30" if CI else "120"

# What answers with a stream that does not end: `crates/gateway/tests/it/listen/{tail,poll}.rs`
# have it.
ENDLESS = {
    "GET /api/v1/tail",
    "GET /api/v1/app/{app_id}/poller/{sink_id}/consumer/{consumer_id}/stream",
}

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "errors_are_documented",
]


def main():
    with tempfile.TemporaryDirectory() as place:
        report = Path(place) / "report.ndjson"
        command = [
            str(Path(sys.executable).with_name("schemathesis")),
            "run",
            f"{URL}/api/v1/openapi.json",
            f"--header=Authorization: Bearer {TOKEN}",
            f"--checks={','.join(CHECKS)}",
            "--phases=examples,coverage,fuzzing,stateful",
            *(f"--exclude-path={name.split()[1]}" for name in ENDLESS),
            f"--max-time={SECONDS}",
            "--continue-on-failure",
            "--warnings=off",
            "--no-color",
            "--generation-database=none",
            f"--report-ndjson-path={report}",
            *(["--seed=1"] if CI else []),
        ]
        environment = {**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE)}
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        status = subprocess.run(command, cwd=place, env=environment).returncode
        passed, failed = count(report)
    failed = failed or int(status != 0)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


def count(report):
    """How many scenarios (an operation in a phase, or a sequence of them) passed, and failed."""
    passed, failed, covered = 0, 0, set()
    for line in report.read_text().splitlines() if report.exists() else []:
        [(event, data)] = json.loads(line).items()
        if event == "ScenarioFinished" and data["status"] != "skip":
            good = data["status"] == "success"
            passed, failed = passed + good, failed + (not good)
            covered.add(data["recorder"]["label"])
        failed += event in ("NonFatalError", "FatalError")
    missed = sorted(documented() - covered)
    if missed:
        print(f"not tested: {missed}")
    return passed, failed + len(missed)


def documented():
    """Every operation of the document, as the report names it."""
    with urllib.request.urlopen(f"{URL}/api/v1/openapi.json") as answer:
        paths = json.load(answer)["paths"]
    found = {f"{method.upper()} {path}" for path, item in paths.items() for method in item}
    assert found, "the document has no operation"
    assert found >= ENDLESS, "what is left out is in the document"
    return found - ENDLESS


main()
