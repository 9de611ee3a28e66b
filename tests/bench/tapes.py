"""Rows a second of recorded tapes: `python -m tests.bench.tapes [FILE...]`; without files it writes some of its own."""

import random
import sys
import tempfile
import time
from pathlib import Path

from brokers.market.recorded import open_tape
from brokers.paper.broker import PaperBroker
from brokers.paper.records import PaperOptions
from engine.inputs import Bar

ROWS = 300_000
START_MS = 1_609_459_200_000


def main(arguments: list[str]) -> None:
    if arguments:
        _print_table([Path(argument) for argument in arguments])
        return
    with tempfile.TemporaryDirectory() as folder:
        _print_table(_made_files(Path(folder)))


def _print_table(paths: list[Path]) -> None:
    print(f"{'file':28} {'rows':>9} {'survey rows/s':>14} {'replay rows/s':>14} {'venue items/s':>14}")
    for path in paths:
        started = time.process_time()
        tape = open_tape(path, on_bad="skip")
        surveyed = time.process_time()
        count = sum(1 for _ in tape.items())
        replayed = time.process_time()
        items = list(tape.items())
        broker = PaperBroker("bench", None, PaperOptions(currency=tape.instrument.quote_currency), tape.instruments())
        began = time.process_time()
        for item in items:
            broker.see(item, item.close_ns if isinstance(item, Bar) else item.at_ns)
        ended = time.process_time()
        rows = tape.report.rows
        rates = (rows / (surveyed - started), rows / (replayed - surveyed), count / (ended - began))
        print(f"{path.name[:28]:28} {rows:9,} " + " ".join(f"{rate:14,.0f}" for rate in rates))


def _made_files(folder: Path) -> list[Path]:
    chance = random.Random(1)
    lines, price = [], 100.0
    for row in range(ROWS):
        opened, price = price, price * (1 + chance.gauss(0, 0.001))
        high, low = max(opened, price) * 1.0005, min(opened, price) * 0.9995
        volume = chance.random() * 99
        lines.append(f"{START_MS + row * 60_000},{opened:.2f},{high:.2f},{low:.2f},{price:.2f},{volume:.4f}\n")
    bars = folder / "BTC-USD_1m.csv"
    bars.write_text("timestamp,open,high,low,close,volume\n" + "".join(lines))
    trades = folder / "ETH-USD_trades.csv"
    sides = ("buy", "sell")
    trades.write_text("timestamp,id,side,price,amount\n" + "".join(
        f"{START_MS + row * 37},{row},{sides[row % 2]},{100 + chance.random():.2f},{1 + chance.random():.3f}\n"
        for row in range(ROWS)))
    return [bars, trades]


if __name__ == "__main__":
    main(sys.argv[1:])
