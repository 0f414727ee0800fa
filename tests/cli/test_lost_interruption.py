"""Ctrl-C while a library is being imported that drops it."""

import signal

import pytest

from penchant.cli import shell


def press_and_lose() -> None:
    """What Arrow does while it imports pandas."""
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        return
    raise AssertionError("the signal raised nothing")


def test_an_interruption_that_a_library_dropped_ends_the_command_at_its_next_step(capsys):
    reached = []

    @shell.guarded
    def command() -> None:
        press_and_lose()
        reached.append("went on")
        shell.Steps(quiet=True).say("the next step")
        reached.append("was not stopped")

    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(shell.typer.Exit) as ended:
            command()
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.value.exit_code == shell.INTERRUPTED
    assert reached == ["went on"]
    assert "Interrupted" in capsys.readouterr().err


def test_the_next_command_starts_unharmed():
    @shell.guarded
    def command() -> None:
        shell.Steps(quiet=True).say("a step")

    before = signal.getsignal(signal.SIGINT)
    try:
        shell._Pressed.ever = True
        command()
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_failed_fit_ends_in_a_panel(capsys):
    from penchant.errors import FitError

    @shell.guarded
    def command() -> None:
        raise FitError("the scores are not finite; expected finite ones. Set a prior.")

    with pytest.raises(shell.typer.Exit) as ended:
        command()
    assert ended.value.exit_code == shell.NOT_CONVERGED
    assert "no result" in capsys.readouterr().err
