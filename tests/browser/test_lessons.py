"""Every notebook of the course in JupyterLab: it runs, its explorers move, its answers open."""

import statistics

import pytest
from playwright.sync_api import expect

from .lab import held_time

WAYS_OUT = ["b", "a", "x", "m", "y", "ArrowLeft", "ArrowRight"]  # JupyterLab's own shortcuts


def skip_without_explorers(lab):
    if not lab.explorer_cells():
        pytest.skip("this notebook has no explorer")


def test_it_runs_without_an_error_and_without_a_word_on_the_console(lesson):
    assert lesson.errors() == []
    assert lesson.console == []


def test_it_asks_nothing_of_other_machines(lesson):
    assert lesson.refused == []


def test_every_explorer_shows_its_picture_its_labels_and_its_status(lesson):
    skip_without_explorers(lesson)
    for explorer in lesson.explorers():
        assert explorer.status()
        assert explorer.status_line.get_attribute("role") == "status"
        canvas = explorer.root.locator("canvas.de-stage")
        assert canvas.get_attribute("aria-label")
        assert canvas.bounding_box()["width"] > 300
        for control in explorer.controls:
            label = explorer.root.locator(f'label[for="{control.get_attribute("id")}"]')
            expect(label).to_be_visible()
            assert label.inner_text().strip()


def test_every_control_moves_picture_and_status_by_keyboard(lesson):
    skip_without_explorers(lesson)
    for explorer in lesson.explorers():
        assert explorer.controls
        for control in explorer.controls:
            what = f"{explorer.name(control)}: "
            at_first, at_last = explorer.move(control)
            assert at_first[0] != at_last[0], what + "first and last value look the same"
            assert at_first[1] != at_last[1], what + "first and last value have one status"
            _, last, before_last = explorer.keys(control)
            explorer.press(control, before_last)
            if control.locator("option").count() != 2:
                assert explorer.seen() not in (at_first, at_last), what + "one step shows nothing"
            explorer.press(control, last)
            assert explorer.seen() == at_last, what + "the same value looks different"
            expect(control, what + "the focus is gone").to_be_focused()


def test_keys_in_a_control_do_not_reach_the_notebook(lesson):
    skip_without_explorers(lesson)
    for explorer in lesson.explorers():
        for control in [*explorer.controls, *explorer.root.locator("button").all()]:
            control.focus()
            before = lesson.notebook_state()
            for key in WAYS_OUT:
                lesson.page.keyboard.press(key)
            for _ in range(2):
                lesson.page.keyboard.press("d")
            assert lesson.notebook_state() == before
            expect(control).to_be_focused()


def test_reset_and_play_work_by_keyboard(lesson):
    skip_without_explorers(lesson)
    for explorer in lesson.explorers():
        play = explorer.root.locator("button.de-play")
        explorer.reset()
        start = explorer.seen()
        explorer.move(explorer.controls[0])
        explorer.reset()
        assert explorer.seen() == start
        if not play.count():
            continue
        label = play.inner_text()
        with held_time(lesson.page.evaluate) as pass_time:
            explorer.press(play, "Space")
            expect(play, "the button does not offer to pause").not_to_have_text(label)
            for _ in range(4):  # a control of five values moves every 1.25 seconds
                pass_time(0.5)
                explorer.settle()
                if explorer.picture() != start[0]:
                    break
            assert explorer.picture() != start[0], "nothing moves after Play"
            if play.inner_text() != label:  # at the end of the control it pauses by itself
                explorer.press(play, "Space")
            expect(play).to_have_text(label)
            paused = explorer.seen()
            pass_time(2)
            explorer.settle()
            assert explorer.seen() == paused, "it goes on after Pause"
            expect(play).to_be_focused()


def test_an_explorer_draws_within_one_frame_and_asks_nobody(lesson, record_property):
    """p95 from key to picture is one frame, and not a byte leaves or arrives."""
    skip_without_explorers(lesson)
    for explorer in lesson.explorers():
        for control in explorer.controls:
            explorer.reset()
            explorer.press(control, explorer.keys(control)[0])
            menu = control.locator("option").count()
            there, back = ("ArrowDown", "ArrowUp") if menu else ("ArrowRight", "ArrowLeft")
            lesson.wait_for_silence()
            frames, requests = len(lesson.frames), len(lesson.questions())
            measured = explorer.latencies(control, [there, back] * 12)
            lesson.page.wait_for_timeout(100)
            assert lesson.frames[frames:] == [], "page and kernel spoke to each other"
            assert len(lesson.questions()) == requests, "a request went over the network"
            assert len(measured) == 24, "not every key changed the picture"
            times, counts = zip(*measured, strict=True)
            record_property(
                "measured",
                f"{explorer.name(control)}: key to picture "
                f"{statistics.median(times):.1f} ms median, "
                f"{percentile(times):.1f} ms p95",
            )
            assert percentile(counts) == 1, f"frames from key to picture: {counts}"


def percentile(values, share=0.95):
    return sorted(values)[int(share * (len(values) - 1))]


def test_a_prediction_answers_when_clicked(lesson):
    if not show_answers(lesson):
        pytest.skip("this notebook asks for no prediction")


def test_an_explorer_goes_on_when_the_kernel_is_gone(lesson):
    """The last test of a notebook: it ends its kernel."""
    skip_without_explorers(lesson)
    lesson.menu("Kernel", "Shut Down Kernel")
    lesson.wait_until("!panel().sessionContext.session?.kernel")
    for explorer in lesson.explorers():
        for control in explorer.controls:
            (picture, status), (other_picture, other_status) = explorer.move(control)
            assert picture != other_picture and status != other_status


def test_predictions_answer_in_a_notebook_that_is_not_trusted_and_was_not_run(open_lab, course):
    """JupyterLab strips scripts and styles from such outputs; the answers must survive."""
    first, *others = sorted((course / "notebooks").glob("*.ipynb"))
    lab = open_lab(f"notebooks/{first.name}")
    asked = untrusted_answers(lab)
    for path in others:
        lab.go_on_to(f"notebooks/{path.name}")
        asked += untrusted_answers(lab)
    assert asked
    lab.close()


def untrusted_answers(lab):
    lab.wait_until("""[...panel().content.model.cells]
        .some((cell) => cell.type === 'code' && !cell.trusted)""")
    asked = show_answers(lab)
    assert lab.console == []
    return asked


def show_answers(lab):
    """Open each option of each prediction, see its answer appear; return how many were asked."""
    asked = 0
    for index, cell in enumerate(lab.cells()):
        html = "".join(
            "".join(o.get("data", {}).get("text/html", "")) for o in cell.get("outputs", [])
        )
        if "de-option" not in html:
            continue
        asked += 1
        options = lab.show_cell(index).locator("details.de-option")
        assert html.count("de-option") >= 2
        expect(options).to_have_count(html.count("de-option"))
        for option in options.all():
            answer = option.locator("p")
            expect(answer).to_be_hidden()
            option.locator("summary").click()
            expect(answer).to_be_visible()
            assert answer.inner_text().strip()
    return asked
