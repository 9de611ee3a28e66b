"""`python -m tests.bench.real_data FOLDER`: the main job on recorded markets, through the command line.

Replays candles of ETH-BTC and AAPL and trades of XRP-ETH with the bracket orders of tests/golden/scripts, and checks of each:
cash + market value of the positions = equity, exactly; the journal verifies; a stop, a target or a trail fired; nothing was
ever bare. FOLDER holds ETH-BTC_5m.csv.gz, AAPL_1d.csv.gz and XRP-ETH_trades.csv.gz, or other files given by name.
"""

import json
import subprocess
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).parents[1] / "golden" / "scripts"
TAPES = {"ETH-BTC_5m.csv.gz": "eth-btc.jsonl", "AAPL_1d.csv.gz": "aapl.jsonl", "XRP-ETH_trades.csv.gz": "xrp-eth.jsonl"}


def quarterdeck(home: Path, *arguments: str) -> str:
    return subprocess.run([sys.executable, "-m", "tui.cli", "--home", str(home), *arguments], check=True, text=True,
                          stdout=subprocess.PIPE).stdout


def replayed(tape: Path, script: Path, home: Path) -> dict[str, Any]:
    """One replay and what it must show; raises `AssertionError` where it does not."""
    began = time.monotonic()
    report: dict[str, Any] = json.loads(quarterdeck(home, "replay", str(tape), "--headless", "--speed", "max", "--script",
                                                    str(script), "--json"))
    seconds = time.monotonic() - began
    account = report["portfolios"][0]
    held = sum((Decimal(position["market_value"]) for position in report["positions"]), Decimal(0))
    assert Decimal(account["cash"]) + held == Decimal(account["equity"]), account
    made = Decimal(account["realized"]) + Decimal(account["unrealized"])
    assert Decimal(account["start_cash"]) + made == Decimal(account["equity"]), account
    purposes = [fill["purpose"] for fill in json.loads(quarterdeck(home, "fills", "--json"))]
    assert {"stop", "target"} & set(purposes), purposes
    assert report["longest_unprotected_seconds"] == 0
    assert "sound" in quarterdeck(home, "journal", "verify")
    return {"fills": report["fills"], "stops": purposes.count("stop"), "targets": purposes.count("target"),
            "equity": f"{account['equity']} {account['currency']}", "rows": report["journal_rows"], "seconds": round(seconds, 1)}


def main() -> None:
    folder = Path(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="quarterdeck-real-") as homes:
        for tape, script in TAPES.items():
            home = Path(homes) / tape.partition(".")[0]
            home.mkdir(mode=0o700)
            shown = replayed(folder / tape, SCRIPTS / script, home)
            print(f"{tape:24} {'  '.join(f'{name} {value}' for name, value in shown.items())}")


if __name__ == "__main__":
    main()
