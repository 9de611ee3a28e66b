"""`support-bundle`: what it will hold is said first, then it is written, for its owner's eyes alone."""

import os
import time
from pathlib import Path

from engine.errors import HomeUnusable, UsageError
from tui.printing import print_facts, print_json


def support_bundle(path: Path, target: Path | None, *, amounts: bool, as_json: bool) -> int:
    """Write the bundle to a new file."""
    from store.home import Home
    from tui.support_bundle import bundle, contents

    home = Home(Path(os.path.abspath(path)))
    if not home.path.is_dir():
        raise HomeUnusable(f"{home.path}: no such home; run `quarterdeck init`, or set QUARTERDECK_HOME")
    file = target or Path(f"quarterdeck-support-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.zip")
    if not as_json:
        print("the bundle holds:")
        print_facts([(f"  {name}", about) for name, about in contents().items()])
        print("with quantities and amounts, as you asked" if amounts else "no quantities, balances or other numbers of yours",
              flush=True)
    content = bundle(home, amounts=amounts)
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as written:
            written.write(content)
    except FileExistsError:
        raise UsageError(f"{file}: exists already; name another file") from None
    except OSError as error:
        raise HomeUnusable(f"{file}: cannot be written: {error.strerror}; name another file") from error
    if as_json:
        print_json({"path": str(file), "bytes": len(content), "amounts": amounts, "contents": contents()})
    else:
        print(f"{file}: {len(content)} bytes; look into it before you send it")
    return 0
