"""What is kept of what a cell shows: known kinds, within limits, and a picture beside much text."""

import base64

import pytest

from grading.sandbox.client import Outputs, sizes

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"x" * 300).decode()
JPEG = base64.b64encode(b"\xff\xd8\xff" + b"x" * 300).decode()


def display(data, **more):
    return {"data": data, "metadata": {}, "transient": {}, **more}


def stream(text, name="stdout"):
    return {"name": name, "text": text}


def pictures(outputs):
    kinds = ("image/png", "image/jpeg")
    found = [o.get("data", {}).get(kind) for o in outputs.all() for kind in kinds]
    return [picture for picture in found if picture]


def said(outputs):
    return "".join(o.get("text", o.get("data", {}).get("text/plain", "")) for o in outputs.all())


def test_printing_takes_no_room_from_a_picture_nor_the_other_way_round():
    outputs = Outputs(500, 1000)
    outputs.add("stream", stream("x" * 10_000))
    outputs.add("display_data", display({"image/png": PNG}))
    assert pictures(outputs) == [PNG] and outputs.cut
    assert said(outputs).startswith("x" * 500 + "…")
    outputs = Outputs(500, 2000)
    for _ in range(5):
        outputs.add("display_data", display({"image/png": PNG}))
    outputs.add("stream", stream("still said"))
    assert 1 < len(pictures(outputs)) < 5 and "still said" in said(outputs) and outputs.cut
    assert all(used <= most for used, most in zip(sizes(*outputs.kept), (500, 2000)))


@pytest.mark.parametrize("kind, picture", [("image/png", PNG), ("image/jpeg", JPEG)])
def test_a_picture_is_kept_if_it_is_one(kind, picture):
    outputs = Outputs(5000, 5000)
    outputs.add("display_data", display({kind: picture, "text/plain": "<Figure>"}))
    outputs.add("display_data", display({kind: '"><script>', "text/plain": "none"}))
    outputs.add("display_data", display({kind: base64.b64encode(b"<svg>").decode()}))
    assert pictures(outputs) == [picture]


@pytest.mark.parametrize("kind", ["image/svg+xml", "image/gif", "image/webp"])
def test_of_a_picture_that_is_not_kept_the_reader_is_told(kind):
    outputs = Outputs(5000, 5000)
    outputs.add("display_data", display({kind: "<svg/>", "text/plain": "<SVG object>"}))
    assert f"not kept: {kind}" in said(outputs) and not pictures(outputs)
    outputs.add("display_data", display({kind: "<svg/>", "image/png": PNG}))
    assert pictures(outputs) == [PNG] and said(outputs).count("not kept") == 1


@pytest.mark.parametrize("wait", [True, False])
def test_an_animation_leaves_its_last_picture(wait):
    outputs = Outputs(500, 1000)
    outputs.add("stream", stream("before"))
    for number in range(50):
        outputs.add("clear_output", {"wait": wait})
        outputs.add("display_data", display({"image/png": PNG}))
        outputs.add("stream", stream(f"step {number}"))
    assert len(pictures(outputs)) == 1 and said(outputs) == "step 49" and not outputs.cut
    outputs.add("clear_output", {"wait": True})  # nothing comes any more: all stays
    assert len(pictures(outputs)) == 1


def test_a_display_that_is_updated_takes_its_place_once():
    outputs = Outputs(1000, 1000)
    first = display({"text/plain": "0 %"}, transient={"display_id": "a"})
    outputs.add("display_data", first)
    outputs.add("stream", stream("and on"))
    for number in range(1, 101):
        update = display({"text/plain": f"{number} %", "image/png": PNG})
        outputs.add("update_display_data", {**update, "transient": {"display_id": "a"}})
    outputs.add("update_display_data", display({"text/plain": "no such display"}))
    assert said(outputs) == "100 %and on" and pictures(outputs) == [PNG] and not outputs.cut
    large = base64.b64encode(b"\x89PNG" + b"x" * 3000).decode()
    huge = display({"image/png": large}, transient={"display_id": "a"})
    outputs.add("update_display_data", huge)
    assert pictures(outputs) == [PNG] and outputs.cut


def test_an_error_is_never_lost():
    outputs = Outputs(0, 0)
    outputs.add("error", {"ename": "E", "evalue": "x" * 10**6, "traceback": []})
    outputs.add("clear_output", {"wait": False})
    (kept,) = outputs.all()
    assert kept["ename"] == "E" and len(kept["evalue"]) < 10_000
