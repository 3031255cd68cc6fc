"""What every command shares: one JSON document, complaints of at most two lines, no needless imports."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from regnetlab.cli import main
from tests.cli.asked import NETWORK, Capture, MakeStudy, complaint, pilot
from tests.conftest import refusal


def test_json_and_debug_may_stand_anywhere(capsys: Capture) -> None:
    capsys.readouterr()
    assert main(["--json", "--debug", "sample", "--space", "AnyNetA", "--n", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["n"] == 1


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("sample --space AnyNetF --n 2", "did you mean 'AnyNetE'"),
        ("sample --space AnyNetA", "--n is missing"),
        ("sample --space AnyNetA --n 0", "n is 0"),
        ("sample --space AnyNetA --n -5", "n is -5"),
        ("sample --space AnyNetA --n two", "'--n'"),
        ("sample --n 2", "--space"),
        ("sample --space AnyNetA --n 2 --seed -1", "--seed"),
        ("sample --space AnyNetA --n 2 --flops 5M", "write it as in 300M:400M"),
        ("sample --space AnyNetA --n 2 --flops 5M:1M", "is empty"),
        ("sample --space AnyNetA --n 2 --flops 1:2", "0 of 2 networks found"),
        ("sample --space AnyNetA --n 2 --depth 3", "write it as in 1:12"),
        ("sample --space AnyNetA --n 2 --depth 5:2", "is empty"),
        ("sample --space AnyNetA --n 2 --group-width a", "whole numbers"),
        ("sample --space AnyNetA --n 2 --template smal", "did you mean 'small'"),
        ("sample --space AnyNetA --n 2 --input 224", "CxHxW"),
        ("sample --space AnyNetA --n 2 --classes 0", "classes is 0"),
        ("sample --space AnyNetA --n 2 -o x.xls", "end the name in"),
        ("sample --space AnyNetA --n 2 -o /nowhere/x.csv", "must be a folder"),
        ("sample --space AnyNetA --n 2 --study nope", "not known"),
        ("sampel --space AnyNetA", "sampel"),
        ("sample --space AnyNetA --n 2 --bogus", "--bogus"),
        ("summary", "MODEL"),
        ("summary regnetx_40mf", "did you mean 'regnetx_400mf'"),
        ("summary anynet:d=1;w=8 --input 3x0x5", "height is 0"),
        ("summary anynet:d=1;w=8 --classes -1", "classes is -1"),
        (
            "summary alexnet --input 1x28x28",
            "`alexnet` needs 1×65×65 at least; `alexnet@original` resizes, `alexnet@small` is its",
        ),
        ("summary vgg11 --input 3x31x99", "`vgg11` needs 3×32×32 at least; `vgg11@original` resizes"),
        ("train nothing", "not known"),
        (f"train {NETWORK} --data fasion-mnist", "did you mean 'fashion-mnist'"),
        (
            f"train {NETWORK} --data folder:/nowhere",
            "/nowhere is not a folder; give the path of a folder that",
        ),
        (f"train {NETWORK} --data-dir /nowhere", "no Fashion-MNIST in"),
        (f"train {NETWORK} --images 1", "images is 1"),
        (f"train {NETWORK} --epochs 0", "epochs is 0"),
        (f"train {NETWORK} --device gpu", "device 'gpu' is not known"),
        ("run nope", "give the path of a study.toml, or start a study: regnetlab new NAME"),
        ("status nope", "not known"),
        ("report nope", "not known"),
        ("fit-regnet nope", "not known"),
        ("fit-regnet --from /nowhere.csv", "can't be read: No such file or directory; give a CSV file of"),
        ("fit-regnet --law cubic", "'--law': 'cubic' is not one of"),
        ("explore x --minutes abc", "'--minutes': it must be a number; "),
        ("explore x --minutes 5 --workers 1.5", "'--workers': it must be a whole number; "),
        ("explore x --minutes 0", "'--minutes': it must be greater than or equal to 0.5"),
        ("fit-regnet a --from b", "not both"),
        ("", "no command is given; regnetlab --help lists them"),
    ],
)
def test_bad_input_gets_a_line_a_hint_and_status_2(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: str, part: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if words:
        assert part in complaint(capsys, words.split())
    else:  # stdout has the help
        assert main([]) == 2
        assert part in refusal(capsys.readouterr().err)
    assert list(tmp_path.iterdir()) == []


def test_a_hint_stands_on_a_line_of_its_own(capsys: Capture, make_study: MakeStudy) -> None:
    study = make_study("[budget]\nimags = 3\n")
    assert main(["run", str(study), "--dry-run"]) == 2
    what, hint = capsys.readouterr().err.splitlines()
    assert what == f"regnetlab: {study}, line 2: key 'imags' of [budget] is not known"
    assert hint == "hint: did you mean 'images'?"


def test_an_unexpected_failure_is_one_line_and_status_1(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr("regnetlab.spaces.sampler.sample", broken)
    words = ["sample", "--space", "AnyNetA", "--n", "1"]
    assert "unexpected RuntimeError: first line (--debug" in complaint(capsys, words, status=1)
    with pytest.raises(RuntimeError):
        main([*words, "--debug"])


HEAVY = {"torch", "torchvision", "fvcore", "optuna", "sqlalchemy", "plotly", "jinja2", "pandas", "scipy"}
HEAVY |= {"pyarrow", "numpy", "torch._dynamo"}


@pytest.mark.parametrize(
    ("words", "needed"),
    [
        ("--help", ""),
        ("--version", ""),
        ("run --help", ""),
        ("models --help", ""),
        ("summary resnet18 --json", "numpy torch"),
        ("sample --space RegNet --n 4", "numpy"),
        ("sample --space AnyNetC --n 4 --flops 300M:400M --where depth<=30 --json", "numpy"),
        ("sample --space AnyNetC --n 4 -o {folder}/x.csv", "numpy"),
        ("sample --space AnyNetC --n 4 -o {folder}/x.json", "numpy"),
        ("sample --space AnyNetC --n 4 -o {folder}/x.parquet", "numpy pyarrow pandas"),
        ("sample --space AnyNetA --study {study}", "numpy"),
        ("status {study}", "numpy"),
        ("run {study} --dry-run", "numpy"),
        ("plan --spread 4", "numpy pandas pyarrow scipy"),
        ("plan --from {networks}", "numpy pandas pyarrow scipy"),
        ("compare --from {networks}", "numpy pandas pyarrow scipy"),
        ("fit-regnet --from {networks}", "numpy pandas pyarrow scipy"),
        ("report --from {networks} -o {folder}/x.html", "numpy pandas pyarrow scipy plotly jinja2"),
    ],
)
def test_a_command_imports_only_what_it_uses(
    tmp_path: Path, make_study: MakeStudy, words: str, needed: str
) -> None:
    places = {"folder": tmp_path, "study": make_study(), "networks": pilot(tmp_path)}
    code = (
        "import sys; from regnetlab.cli import main; status = main(sys.argv[1:]);"
        f"print(*(set(sys.modules) & {HEAVY}), file=sys.stderr); sys.exit(status)"
    )
    command = [sys.executable, "-c", code, *words.format(**places).split()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert set(done.stderr.splitlines()[-1].split()) <= set(needed.split())


@pytest.mark.parametrize("package", ["spaces", "models", "training"])
def test_workers_need_neither_optuna_nor_plotly_nor_pydantic_nor_fvcore(package: str) -> None:
    code = (
        "import importlib, pkgutil, sys\n"
        "for name in ('optuna', 'plotly', 'pydantic', 'fvcore', 'pandas'): sys.modules[name] = None\n"
        f"import regnetlab.{package} as package\n"
        "for each in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "    importlib.import_module(each.name)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_at_any_moment_ends_a_command_as_ctrl_c_does(number: int) -> None:
    program = f"""
import os, signal, sys
from regnetlab.cli import app
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which nohup has made it ignore
app.app = lambda *words, **options: os.kill(os.getpid(), {int(number)})
sys.exit(app.main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "regnetlab: interrupted\n")


@pytest.mark.parametrize("words", ["sample --space AnyNetA --n 20000", "summary regnety_32gf --json"])
def test_output_that_is_not_read_to_the_end_is_no_error(words: str) -> None:
    command = f"set -o pipefail; {sys.executable} -m regnetlab {words} | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stderr == ""
