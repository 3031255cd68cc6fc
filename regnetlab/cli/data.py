"""``regnetlab data``, and the options and notes of every command that reads images."""

import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from regnetlab.cli.completion import among, data_sets, study_names
from regnetlab.cli.help import Command, Group, ending
from regnetlab.cli.output import Json, echo, filled, print_json, print_next, print_table
from regnetlab.cli.sample import Input
from regnetlab.cli.summary import DataDir
from regnetlab.errors import InputError
from regnetlab.plain import plural

if TYPE_CHECKING:
    from regnetlab.training.datasets import DataSet
    from regnetlab.training.folders.decode import Reading
    from regnetlab.training.folders.listener import Listener

app = typer.Typer(
    cls=Group,
    help="Look at a data set before training, or pack it.",
    epilog=ending("data show photos/pets --grid pets.png", "docs/data.md"),
    no_args_is_help=True,
)

_LISTED, _CLASSES = 20, 100
Fit = Annotated[
    str | None,
    typer.Option(
        metavar="HOW",
        autocompletion=among("crop", "pad", "squash"),
        help="How a folder's images are brought to the input's size: crop (the default), pad or squash.",
    ),
]
Background = Annotated[
    str | None, typer.Option(help="Colour behind transparent images of a folder; white by default.")
]
SkipUnreadable = Annotated[
    bool, typer.Option("--skip-unreadable", help="Go on without a folder's files that can't be read.")
]
Held = Annotated[
    str | None,
    typer.Option(
        "--split",
        metavar="HOW",
        autocompletion=among("random", "stratified"),
        help="How a folder's images are held out: random, over all images (the default), or stratified, of"
        " each class.",
    ),
]
GroupBy = Annotated[
    str | None,
    typer.Option(
        metavar="REGEX",
        help="Hold out whole groups of a folder's images: what it finds in a path names the group.",
    ),
]
TestSplit = Annotated[
    bool | None,
    typer.Option("--test-split/--no-test-split", help="Hold out test images where a folder has no test/."),
]


def reading(
    data: str, own: "Reading | None" = None, skip_unreadable: bool = False, **options: Any
) -> "Reading":
    """How images are read: as ``own`` says, a study's or the default, but for the options that were given.

    Raises ``InputError`` where the data is no folder but options of one are given.
    """
    from dataclasses import replace

    from regnetlab.training.folders.decode import Reading, is_folder

    chosen = {key: value for key, value in options.items() if value is not None}
    if chosen and not is_folder(data):
        first = min(chosen)
        raise InputError(
            f"--{'no-' * (chosen[first] is False)}{first.replace('_', '-')} is for folders of images",
            f"leave it out: {data} is used as it is",
        )
    own = own or Reading()
    return replace(own, **chosen, skip_unreadable=skip_unreadable or own.skip_unreadable)


def listener() -> "Listener":
    """Notes go to stderr, and on a terminal progress too."""
    from regnetlab.training.folders.listener import Listener

    return Listener(_note, _progress) if sys.stderr.isatty() else Listener(_note)


def _note(text: str) -> None:
    echo(filled(text), err=True)


def _progress(what: str, done: int, of: int) -> None:
    if of >= 1_000 and (done % 250 == 0 or done == of):
        end = "\r\x1b[K" if done == of else ""
        sys.stderr.write(f"\r{what} {done:,} of {of:,} images{end}")
        sys.stderr.flush()


@app.command(cls=Command, epilog=ending("data show photos/pets --grid pets.png", "docs/data.md"))
def show(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="FOLDER|NAME",
            help="A folder of images, or a data set's name.",
            autocompletion=data_sets,
        ),
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(help="Show the data of this study, as it reads them.", autocompletion=study_names),
    ] = None,
    data_dir: DataDir = None,
    input: Input = None,
    fit: Fit = None,
    background: Background = None,
    split: Held = None,
    group_by: GroupBy = None,
    test_split: TestSplit = None,
    grid: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="Draw some images of each class as a network sees them."),
    ] = None,
    json: Json = False,
) -> None:
    """Show what a data set holds: classes, splits, sizes, what is left out, and files that are equal."""
    from regnetlab.files import check_output, write_atomically
    from regnetlab.spaces.template import SMALL
    from regnetlab.training.datasets import folder_of, load_data, outline
    from regnetlab.training.folders.decode import folder_of_pack
    from regnetlab.training.folders.listener import Listener
    from regnetlab.training.packs.shards import check_bytes, read_pack

    if (what is None) == (study is None):
        named = "no data set is" if what is None else "a data set and a study are both"
        raise InputError(f"{named} named", "give a folder of images, a data set's name, or --study NAME")
    if grid is not None:
        check_output(grid, (".png",))
    if study is not None:
        from regnetlab.study.plan_file import find_study, load_plan

        plan = load_plan(find_study(study))
        name, template, own = plan.data, plan.template, plan.reading
    else:
        name, template, own = _named(what or ""), SMALL, None
    how = reading(
        name, own, True, fit=fit, background=background, split=split, group_by=group_by, test_split=test_split
    )
    if study is None and input is None:
        template = template.changed(outline(name, data_dir, how).input)
    template = template.changed(input)
    root = folder_of(name, data_dir)
    if grid is not None and root is not None and grid.resolve().is_relative_to(root.resolve()):
        raise InputError(f"output {grid} would lie among the images of {root}", "write it somewhere else")
    quiet = Listener(progress=listener().progress)
    data = load_data(name, template, data_dir, how, quiet)
    if input is not None and data.input != template.input:
        raise InputError(f"--input {input}: the images of {name} are {data.input}", "leave --input out")
    if (packed := folder_of_pack(name)) is not None:
        check_bytes(read_pack(packed))
    if grid is not None:
        from regnetlab.training.grid import grid_png

        write_atomically(grid, grid_png(data))
    if json:
        print_json(_document(data))
    else:
        _print(data)
        echo()
        if grid is not None:
            echo(f"wrote {grid}")
        print_next(_following(name, study))


@app.command(cls=Command, epilog=ending("data pack photos/pets -o packs/pets", "docs/data.md"))
def pack(
    what: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER|NAME",
            help="A folder of images, or a published data set's name.",
            autocompletion=data_sets,
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Folder of the pack; packs/NAME.")
    ] = None,
    size: Annotated[
        int, typer.Option(min=8, max=4096, help="Pixels that the short side of larger images is brought to.")
    ] = 256,
    data_dir: DataDir = None,
    channels: Annotated[
        int | None, typer.Option(metavar="1|3", help="Grey or colours; as the images are by default.")
    ] = None,
    store: Annotated[
        Literal["raw", "jpeg"],
        typer.Option(help="Keep pixels, or JPEGs that each batch decodes, in a ninth of the room."),
    ] = "raw",
    background: Background = None,
    split: Held = None,
    group_by: GroupBy = None,
    test_split: TestSplit = None,
    skip_unreadable: SkipUnreadable = False,
    json: Json = False,
) -> None:
    """Decode images once, into files that all trainings share: for data larger than memory.

    Images keep their proportions, published data sets their splits. Of a folder, a call that was interrupted
    goes on where it was. Use the pack as data pack:DIR; it needs about size × size × 4 bytes a colour image,
    with --store jpeg an eighth of that.
    """
    from regnetlab.training.datasets import folder_of, input_side
    from regnetlab.training.folders.decode import folder_of_pack
    from regnetlab.training.packs.datasets import pack_published
    from regnetlab.training.packs.folders import pack_folder

    name = _named(what)
    how = reading(
        name,
        None,
        skip_unreadable,
        background=background,
        split=split,
        group_by=group_by,
        test_split=test_split,
    )
    root = folder_of(name, data_dir)
    if folder_of_pack(name) is not None:
        raise InputError(f"{name} is a pack already", "name the data that it was made from")
    if channels not in (None, 1, 3):
        raise InputError(f"--channels is {channels}", "it must be 1 or 3")
    target = output or Path("packs") / (name if root is None else root.resolve().name)
    began = time.monotonic()
    if root is None:
        found = pack_published(name, data_dir, target, size, channels, store, listener())
    else:
        found = pack_folder(name, root, target, size, channels, how, store, listener())
    took = time.monotonic() - began
    total = sum(each.bytes for each in found.shards)
    if json:
        document = {"folder": str(target), "images": found.images, "bytes": total, "seconds": round(took, 1)}
        print_json(document | {"checksum": found.checksum, "classes": len(found.classes), **found.counts})
        return
    if found.survey is not None:
        for line in found.survey.lines(f"pack:{target}"):
            echo(filled(line), err=True)
    side = input_side(found.side)
    echo(
        filled(
            f"wrote {plural(found.images, 'image')} ({total / 1e9:,.2f} GB) to {target} in {took:,.0f} s;"
            f" as data pack:{target}, best for an input of {found.channels}x{side}x{side}"
        )
    )
    print_next([f"data show pack:{target}"])


def _named(what: str) -> str:
    """The data's name: a published one, else the folder of that path."""
    from regnetlab.training.datasets import PUBLISHED
    from regnetlab.training.folders.decode import folder_of_pack, is_folder

    path = Path(what).expanduser()
    known = what in PUBLISHED or is_folder(what) or folder_of_pack(what) is not None
    if known or not (path.exists() or "/" in what):
        return what
    return f"folder:{what}"


def _following(data: str, study: str | None) -> list[str]:
    """The commands that go on from data that were looked at."""
    if study is not None:
        return [f"run {study}"]
    shown = shlex.quote(data.removeprefix("folder:") or data)
    return [f"explore {shown} --minutes 60", f"new NAME --data {shlex.quote(data)}"]


def _document(data: "DataSet") -> dict[str, Any]:
    survey = data.survey
    mean, std = data.mean_and_std()
    document = {
        "data": data.name,
        "input": data.input,
        "images": len(data.train) + len(data.validation) + len(data.test),
        "classes": [{"name": name, **counts} for name, counts in data.counts()],
        "mean": mean,
        "std": std,
        "majority_error": data.majority_error(),
        "skipped": [],
        "unreadable": [],
        "duplicates": [],
    }
    if survey is None:
        return document
    full = survey.to_json()
    del full["classes"], full["counts"]
    unreadable = [each.path for each in survey.unreadable]
    return {**document, **full, "unreadable": unreadable}


def _print(data: "DataSet") -> None:
    for line in data.lines():
        echo(filled(line))
    rows = [
        (name[:40], *(f"{n:,}" for n in counts.values()), f"{sum(counts.values()):,}")
        for name, counts in data.counts()
    ]
    echo()
    print_table(("class", "train", "validation", "test", "all"), rows[:_CLASSES], "lrrrr")
    if len(rows) > _CLASSES:
        echo(f"and {len(rows) - _CLASSES:,} more classes (all with --json)")
    mean, std = (" ".join(f"{each:.3f}" for each in values) for values in data.mean_and_std())
    echo("\n" + filled(f"input {data.input}; mean {mean}, standard deviation {std} (pixels from 0 to 1)"))
    echo(f"always answering the commonest class: {data.majority_error():.1f}% wrong")
    if data.survey is None:
        return
    _listed("can't be read", [f"{each.path}: {each.reason}" for each in data.survey.unreadable])
    _listed("left out", [f"{each.path}: {each.reason}" for each in data.survey.skipped])
    _listed("equal byte for byte", [" = ".join(group[:4]) for group in data.survey.duplicates])


def _listed(title: str, lines: Sequence[str]) -> None:
    if not lines:
        return
    echo(f"\n{title}:")
    for line in lines[:_LISTED]:
        echo(f"  {line}")
    if len(lines) > _LISTED:
        echo(f"  and {len(lines) - _LISTED:,} more (all with --json)")
