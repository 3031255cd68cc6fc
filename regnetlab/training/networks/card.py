"""The model card and config.json of a trained network's folder, from what its model.json says.

Names of classes come from folders of images: in Markdown and YAML they are written so that they are text and
nothing else.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from regnetlab.errors import printable

_SHOWN = 100  # classes in the table of the card


def config_json(document: Mapping[str, Any]) -> dict[str, Any]:
    """What a Hugging Face repository says of an image classifier."""
    template, classes = document["template"], document["classes"]
    return {
        "architectures": [document["model"].partition(":")[0]],
        "model_type": "regnetlab",
        "model": document["model"],
        "num_labels": len(classes),
        "id2label": {str(i): name for i, name in enumerate(classes)},
        "label2id": {name: i for i, name in enumerate(classes)},
        "num_channels": template["channels"],
        "image_size": [template["height"], template["width"]],
        "mean": document["normalisation"]["mean"],
        "std": document["normalisation"]["std"],
        "temperature": document["temperature"],
    }


def card(document: Mapping[str, Any], timm: str | None) -> str:
    """README.md; ``timm`` is the snippet that builds the network there, where it can be built."""
    sections = (_metadata, _what, _errors, _protocol, _limits, _use)
    text = "\n\n".join("\n".join(section(document)) for section in sections)
    if timm is not None:
        text += (
            f"\n\nWith [timm](https://github.com/huggingface/pytorch-image-models), on normalised images:\n\n"
            f"```python\n{timm}"
            "from safetensors.torch import load_file\n"
            'model.load_state_dict(load_file("timm.safetensors"))\n```'
        )
    return text + "\n"


def plain(text: object, most: int = 200) -> str:
    """A text as Markdown and HTML show it, in one line of at most so many characters."""
    line = printable(str(text)[:most], kept="")
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]#|~$]|:(?=//))", r"\\\1", line)


def percent(error: float | None, interval: Sequence[float] | None = None) -> str:
    """An error as the cards write it."""
    if error is None:
        return "not known"
    if interval is None:
        return f"{error:.2f}%"
    return f"{error:.2f}% ({interval[0]:.2f} to {interval[1]:.2f})"


def milliseconds(latency: Mapping[str, Any] | None) -> str:
    """A measured latency as the cards write it."""
    if not latency:
        return "not measured"
    batch = latency["batch"]
    images = "an image" if batch == 1 else f"{batch:,} images"
    return f"{latency['ms'][0]:.3g} ms for {images} on {plain(latency['device'])}"


def count(number: int | None) -> str:
    """A number of flops, parameters or activations."""
    return "not known" if number is None else f"{number:,}"


def _metadata(document: Mapping[str, Any]) -> Iterator[str]:
    quoted = json.dumps  # JSON's strings are YAML's
    test = document["test"]
    yield "---"
    yield "# license: fill in the license under which you give these weights away"
    yield "pipeline_tag: image-classification"
    yield "library_name: pytorch"
    yield "tags: [image-classification, regnet, regnetlab]"
    yield "model-index:"
    yield f"- name: {quoted(document['name'])}"
    yield "  results:"
    yield "  - task: {type: image-classification}"
    yield f"    dataset: {{name: {quoted(document['data'])}, type: {quoted(document['data'])}, split: test}}"
    yield f"    metrics: [{{type: accuracy, value: {1 - test['error'] / 100:.6f}}}]"
    yield "---"


def _what(document: Mapping[str, Any]) -> Iterator[str]:
    template, classes = document["template"], document["classes"]
    size = f"{template['height']} × {template['width']}"
    test = document["test"]
    yield f"# {plain(document['name'])}: {len(classes)} classes of images"
    yield ""
    yield (
        f"`{document['model'].replace('`', '')}`, trained on {plain(document['data'])}. Its test error is"
        f" {percent(test['error'], test['interval'])} on {test['images']:,} images that neither trained nor"
        " chose it; in brackets the 95% interval."
    )
    yield ""
    yield f"- Input: {template['channels']} × {size} pixels; the files here normalise by themselves."
    yield f"- {count(document['flops'])} multiply-adds, {count(document['params'])} parameters."
    yield f"- Time: {milliseconds(document['latency'])}."
    yield f"- Classes: {', '.join(plain(each) for each in classes[:_SHOWN])}{_more(classes)}."


def _errors(document: Mapping[str, Any]) -> Iterator[str]:
    test = document["test"]
    yield "## Errors by class"
    yield ""
    over = "" if test.get("groups") is None else f" over the {test['groups']:,} groups that they belong to"
    yield f"On the test images, with Wilson's 95% interval{over}; the worst first."
    yield ""
    yield "| class | test images | error |"
    yield "|---|---:|---:|"
    ordered = sorted(test["by_class"], key=lambda each: -1.0 if each["error"] is None else -each["error"])
    for each in ordered[:_SHOWN]:
        yield f"| {plain(each['name'])} | {each['images']:,} | {percent(each['error'], each['interval'])} |"
    if left := _more(ordered):
        yield ""
        yield f"The table shows {_SHOWN}{left}; model.json has all, and the confusion matrix."
    calibration = test["calibration"]
    yield ""
    yield "## Probabilities"
    yield ""
    if document["temperature"] == 1:
        yield (
            "Logits are used as they are: the validation images are too few, or all answered right, and no"
            " temperature can be fitted. The expected calibration error on the test images is"
            f" {calibration['after']:.2f} points."
        )
        return
    yield (
        f"Logits are divided by a temperature of {document['temperature']:.3f}, fitted on the"
        f" {document['validation']['images']:,} validation images, which chose the network too. The expected"
        f" calibration error on the test images is {calibration['after']:.2f} points with it and"
        f" {calibration['before']:.2f} without."
    )


def _protocol(document: Mapping[str, Any]) -> Iterator[str]:
    test, made = document["test"], document["made"]
    yield "## Data and protocol"
    yield ""
    yield (
        "Training images trained the network, validation images chose it and its temperature, and the test"
        " images were read once, at the end."
    )
    yield ""
    if document["chosen"]:
        yield f"- Chosen: {plain(document['chosen'], 1_000)}"
    yield f"- Validation error: {percent(document['validation']['error'])}."
    if test["seeds"]:
        errors = ", ".join(f"{each:.2f}" for each in test["seeds"])
        yield f"- Test errors of all trainings with these settings, each from another seed: {errors}."
    for name in ("budget", "recipe", "reading"):
        if document[name]:
            values = ", ".join(f"{key} {value}" for key, value in document[name].items())
            yield f"- {name.capitalize()}: {plain(values, 1_000)}."
    yield f"- Seed {document['seed']}; checksum of the data {plain(document['data_checksum'])}."
    yield (
        f"- Made on {made['date']} with regnetlab {made['regnetlab']} and torch {plain(made['torch'])}"
        f" on {plain(made['processor'])}."
    )


def _limits(document: Mapping[str, Any]) -> Iterator[str]:
    yield "## Limits"
    yield ""
    yield (
        "It knows these classes alone: an image of anything else gets one of them all the same, and its"
        " probability does not say so. The errors hold for images like the test images; of other cameras,"
        " places or times they are not known. Classes with few test images have wide intervals."
    )


def _use(document: Mapping[str, Any]) -> Iterator[str]:
    template, left_out = document["template"], document["left_out"]
    shape = f"(n, {template['channels']}, {template['height']}, {template['width']})"
    yield "## How to use it"
    yield ""
    yield "On files, in this folder:"
    yield ""
    yield "```console"
    yield "$ regnetlab predict . IMAGE…"
    yield "```"
    yield ""
    yield "```python"
    yield "import regnetlab as rl"
    yield 'net = rl.load_network(".")'
    yield 'print(net.predict("image.png", top=3))'
    yield "```"
    yield ""
    yield f"Without regnetlab, images are uint8 of shape {shape}, 0 to 255."
    yield ""
    if "network.py" in left_out:
        yield f"There is no network.py for torch alone: {plain(left_out['network.py'])}."
    else:
        yield "With torch alone:"
        yield ""
        yield "```python"
        yield "from network import CLASS_NAMES, load"
        yield 'network = load("model.safetensors")'
        yield "print(CLASS_NAMES[network(images).argmax(1)[0]])"
        yield "```"
    yield ""
    if "model.onnx" in left_out:
        yield f"There is no model.onnx: {plain(left_out['model.onnx'])}."
    else:
        yield "With onnxruntime:"
        yield ""
        yield "```python"
        yield "import onnxruntime"
        yield 'session = onnxruntime.InferenceSession("model.onnx")'
        yield 'logits, probabilities = session.run(None, {"images": images})'
        yield "```"


def _more(listed: Sequence[object]) -> str:
    left = len(listed) - _SHOWN
    return f" and {left:,} more" if left > 0 else ""
