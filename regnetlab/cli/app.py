"""The entry point: which commands there are, how errors end, what ``--json`` and ``--debug`` do."""

import gc
import io
import os
import re
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, TextIO

import typer
from typer.exceptions import TyperException

from regnetlab import __version__
from regnetlab.cli import (
    bands,
    baselines,
    compare,
    count,
    data,
    explore,
    export,
    fidelity,
    finish,
    latency,
    new,
    predict,
    report,
    retrain,
    run,
    sample,
    search,
    store,
    summary,
    train,
    width_law,
    worker,
)
from regnetlab.cli.help import Command, Group, ending
from regnetlab.cli.output import OutputError, echo, tell
from regnetlab.errors import InputError

app = typer.Typer(
    name="regnetlab",
    cls=Group,
    help="Explore spaces of convolutional networks: sample, train, fit the width law, report.",
    epilog="--json prints one JSON document, --debug shows tracebacks; both work anywhere but with worker.\n"
    "Documentation: docs/index.md in the repository.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_COMMANDS: tuple[tuple[str, tuple[tuple[str, Callable[..., None], str, str], ...]], ...] = (
    (
        "Design",
        (
            ("sample", sample.sample, "--space AnyNetC --n 64 --flops 360M:400M -o c.csv", "spaces.md"),
            ("summary", summary.summary, "resnet18 --input 3x64x64 --depth 1", "models.md"),
            ("models", summary.list_models, "--input 3x64x64", "models.md"),
            ("count", count.count, '"conv 5x5 c->c" "conv 3x3 c->c + conv 3x3 c->c"', "textbook.md"),
        ),
    ),
    (
        "Study",
        (
            ("new", new.new, "pets --data folder:photos/pets", "studies.md"),
            ("run", run.run, "pets --workers 4", "studies.md"),
            ("status", run.status, "pets --watch", "cluster.md"),
            ("plan", compare.plan, "pets --margin 0.5", "studies.md"),
            ("fidelity", fidelity.fidelity, "pets --ladder 1600,6400 --dry-run", "fidelity.md"),
            ("search", search.search, "pets --space AnyNetE --trials 40", "search.md"),
            ("retrain", retrain.retrain, "pets --top 3 --seeds 5", "studies.md"),
            ("worker", worker.worker, "tcp://desk:8786", "cluster.md"),
        ),
    ),
    (
        "Answers",
        (
            ("compare", compare.compare, "pets --margin 0.5", "studies.md"),
            ("fit-regnet", width_law.fit_regnet, "pets --n 6", "studies.md"),
            ("bands", bands.bands, "pets --space AnyNetE --as-space narrow", "spaces.md"),
            ("compare-baselines", baselines.compare_baselines, "pets", "baselines.md"),
            ("latency", latency.latency, "resnet18 regnetx_400mf --batch 1,64", "latency.md"),
            ("report", report.report, "pets --open", "studies.md"),
        ),
    ),
    (
        "Networks",
        (
            ("explore", explore.explore, "photos/pets --minutes 60", "explore.md"),
            ("finish", finish.finish, "pets --minutes 30 -o family", "explore.md"),
            ("predict", predict.predict, "family new-photos/ --csv out.csv", "using.md"),
            ("train", train.train, "resnet18@1MF --epochs 4 -o net.safetensors", "recipe.md"),
            ("export", export.export, "regnetx_400mf --to timm -o net.py", "export.md"),
        ),
    ),
)
for _panel, _commands in _COMMANDS:
    for _name, _function, _words, _page in _commands:
        _epilog = ending(f"{_name} {_words}", f"docs/{_page}")
        app.command(name=_name, cls=Command, epilog=_epilog, rich_help_panel=_panel)(_function)
app.add_typer(data.app, name="data", rich_help_panel="Data")
app.add_typer(store.app, name="store", rich_help_panel="Store")


def _version(wanted: bool) -> None:
    if wanted:
        echo(f"regnetlab {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0, 1, 2 or 130."""
    if arguments is None:
        # What a command makes lives until it ends. Looking for garbage among a million objects again and
        # again takes a third of the time of reading a store of 100,000 trainings.
        gc.set_threshold(200_000, 20, 20)
        for number in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C; a run that trains has its own way
            if signal.getsignal(number) == signal.SIG_DFL:
                signal.signal(number, signal.default_int_handler)
        sys.stdout = sys.stdout or _nowhere()  # Python has none where it is closed
        sys.stderr = sys.stderr or _nowhere()
        for stream in (sys.stdout, sys.stderr):  # a terminal that has no × shows a question mark
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")
    words = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in words
    # --json is an option of each command, so it moves behind the command.
    json = ["--json"] if "--json" in words else []
    words = [word for word in words if word not in ("--debug", "--json")] + json
    try:
        _check_here()
        status = app(words, prog_name="regnetlab", standalone_mode=False)
        _flush()
    except (InputError, TyperException) as error:
        if debug:
            raise
        if isinstance(error, OutputError):
            _discard_stdout()
        if isinstance(error, InputError):
            _complain(error.what, error.hint)
        else:
            message = _reworded(" ".join(error.format_message().split()))
            context = getattr(error, "ctx", None)
            command = "regnetlab" if context is None else context.command_path
            does = "shows what it takes" if message else "lists them"
            _complain(message or "no command is given", f"{command} --help {does}")
        return 2
    except (KeyboardInterrupt, typer.Abort):
        _complain("interrupted")
        return 130
    except (BrokenPipeError, SystemExit):
        # The reader of our output, such as head, has seen enough; typer exits by itself where it notices.
        _discard_stdout()
        return 0
    except OSError as error:  # of the machine: a disk, a folder, a limit
        if debug:
            raise
        place = f"{error.filename}: " if isinstance(error.filename, str) else ""
        _complain(f"{place}{error.strerror or str(error) or type(error).__name__}", "--debug shows where")
        return 2
    except Exception as error:
        if debug:
            raise
        first = str(error).splitlines()[0] if str(error) else ""
        _complain(f"unexpected {type(error).__name__}: {first} (--debug shows where)")
        return 1
    return status if isinstance(status, int) else 0


def _reworded(message: str) -> str:
    """What typer says of an option's value, without the words of the library that checks it."""
    message = message.replace("Value error, ", "")
    number = re.sub(r"Input should be a valid (number|integer).*", r"it must be a \1", message)
    return number.replace("a integer", "a whole number").replace("Input should be", "it must be")


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")


def _check_here() -> None:
    try:
        Path.cwd()
    except OSError as error:
        raise InputError(f"the current folder is gone ({error.strerror})", "go to another one") from None


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(error) from error


def _discard_stdout() -> None:
    """Let what is left to print go nowhere, else Python complains about it at its end."""
    with suppress(OSError):  # of a stdout that is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(message: str, hint: str = "") -> None:
    tell(f"regnetlab: {message}")
    if hint:
        tell(f"hint: {hint}")
