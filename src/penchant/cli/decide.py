"""`penchant decide`: show the right option, learn from the answer, log what others can judge."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from penchant.cli import bandit_options as bandit
from penchant.cli import options, shell
from penchant.errors import ConfigError, DataError

if TYPE_CHECKING:
    from penchant.serving.catalogue_deciding import CatalogueDecider
    from penchant.serving.deciding import Decider

# Lines between two savings, which are what a crash, not an interruption, may cost; or this share
# of the decisions that wait for answers, so that saving takes no longer than deciding.
_SAVED_EVERY = 1000
_SAVED_SHARE = 0.1


@shell.guarded
def decide(
    call: options.Invocation,
    folder: Annotated[
        Path,
        typer.Argument(help="What is believed lives here; made where it is not there."),
    ],
    file: Annotated[
        Path, typer.Argument(help="JSON lines: menus and answers. - for standard input.")
    ] = Path("-"),
    log: Annotated[
        Path | None,
        typer.Option(
            help="Decisions with their answers are added here, as JSON lines that `penchant ope` "
            "reads (a name ending in .dsjson)."
        ),
    ] = None,
    rule: Annotated[
        str, typer.Option(help=f"How to decide: {bandit.RULES}. Or {bandit.CATALOGUE}.")
    ] = "thompson",
    answers: Annotated[
        str, typer.Option(help=f"Kinds of answers, with commas: {bandit.ANSWERS}.")
    ] = "pick,ranking,click",
    floor: Annotated[
        float,
        typer.Option(help="Share of decisions that are any option, so that the log can be judged."),
    ] = 0.05,
    exposure: Annotated[
        float,
        typer.Option(help="The least probability of each option of a menu to stand in front."),
    ] = 0.0,
    budget: Annotated[
        float | None,
        typer.Option(
            help="What options with a `cost` may cost in all; needs --horizon.", show_default=False
        ),
    ] = None,
    horizon: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Decisions that the budget is for; with exp3, exp4 and zooming how many come.",
            show_default=False,
        ),
    ] = None,
    coordinates: Annotated[
        int, typer.Option(min=1, help="Of the points that zooming plays, each from 0 to 1.")
    ] = 1,
    slots: Annotated[int, typer.Option(min=1, help="Options shown, if a menu does not say.")] = 1,
    parts: Annotated[
        str,
        typer.Option(
            help="What features options have: option, name, option*context, name*context."
        ),
    ] = "option,name,option*context,name*context",
    features: Annotated[
        int, typer.Option(min=1, help="Numbers that names of features are hashed into.")
    ] = 128,
    sparse: Annotated[
        bool, typer.Option("--sparse", help="Keep no covariances, for thousands of features.")
    ] = False,
    prior_scale: Annotated[float, typer.Option(help=bandit.PRIOR_SCALE)] = 1.0,
    person_scale: Annotated[float, typer.Option(help=bandit.PERSON_SCALE)] = 0.0,
    kinds: Annotated[int, typer.Option(min=1, help=bandit.KINDS)] = 1,
    kind_scale: Annotated[float, typer.Option(help=bandit.KIND_SCALE)] = 1.0,
    network: Annotated[str, typer.Option(help=bandit.NETWORK)] = "",
    half_life: Annotated[
        float | None,
        typer.Option(help=bandit.HALF_LIFE, show_default=False),
    ] = None,
    noise: Annotated[float, typer.Option(help="Standard deviation of real rewards.")] = 1.0,
    silence: Annotated[
        str,
        typer.Option(help="What no answer means: missing, or the reward that it stands for."),
    ] = "missing",
    patience: Annotated[
        int, typer.Option(min=1, help="Further decisions after which silence is an answer.")
    ] = 1000,
    seed: options.Seed = 0,
    debug: options.Debug = False,
) -> None:
    """Decide line by line, and learn line by line.

    A line with `options` ([{"id", "features", "cost"}]; perhaps `event_id`, `person`, `context`,
    `slots`) is answered by `ranking` and `probabilities`; a line with `event_id`, `kind` and
    `value` says what was answered, late and in whatever order. Settings are those of the first
    call; later calls read them from FOLDER. With exp4 a menu has `advice` too, with zooming a line
    of an `event_id` alone asks for a point; both learn from rewards of 0 to 1.
    """
    from penchant.encoders.hashed import HashedMenu
    from penchant.serving.catalogue_deciding import CatalogueDecider, CatalogueState, save, taken_up
    from penchant.serving.deciding import Decider, DeciderConfig

    if folder.is_file():
        raise ConfigError(f"FOLDER is {folder}, which is a file; expected a folder.")
    decider: Decider | CatalogueDecider
    if (folder / "belief.json").exists():
        decider = taken_up(folder)
        given = options.given(call, without=("folder", "file", "log", "debug"))
        if given:
            raise ConfigError(
                f"{folder} has its settings already; {', '.join(given)} cannot change them. Leave "
                "them out, or begin in another folder."
            )
        if log is not None and isinstance(decider, CatalogueDecider) and not decider.has_log:
            raise ConfigError(
                f"--log is {log}, but {folder} plays points with certainty, so that a log of them "
                "could judge no other policy. Leave it out."
            )
    elif (
        catalogue := bandit.read_catalogue(
            rule, horizon=horizon, coordinates=coordinates, floor=floor, seed=seed
        )
    ) is not None:  # fmt: skip
        _refuse_beside(call, catalogue.kind)
        decider = CatalogueDecider(CatalogueState(config=catalogue))
    else:
        if options.given(call, among=("coordinates",)):
            raise ConfigError(
                f"--coordinates would change nothing: {rule} chooses among options. Leave it out, "
                "or take --rule zooming."
            )
        channels = tuple(bandit.read_answers(answers))
        _refuse_ignored(call, {channel.kind for channel in channels}, silence)
        decider = Decider.new(
            DeciderConfig(
                bandit=bandit.bandit_config(
                    prior_scale=prior_scale, person_scale=person_scale, half_life=half_life,
                    noise=noise, is_sparse=sparse, num_kinds=kinds, kind_scale=kind_scale,
                    network=network,
                ),
                encoder=HashedMenu(num_features=features, parts=tuple(bandit.listed(parts))),
                rule=bandit.read_rule(rule, beside=f", {bandit.CATALOGUE}"), channels=channels,
                slots=slots, floor=floor, exposure=exposure, budget=budget, horizon=horizon,
                silence=None if silence == "missing" else bandit.read_number(silence, "--silence"),
                patience=patience, seed=seed,
            )
        )  # fmt: skip
    if log is not None:
        # What cannot be written is found before anything is learnt.
        log.open("a", encoding="utf-8").close()
    done = saved = 0
    try:
        for done, line in enumerate(_lines(file), start=1):
            _answer(decider, line, done)
            if done - saved >= max(_SAVED_EVERY, _SAVED_SHARE * decider.num_open):
                _keep(decider, log)
                save(decider, folder)
                saved = done
    finally:
        _keep(decider, log)
        save(decider, folder)
    shell.note(f"{done:,} lines; what was learnt is in {folder}.")


def _refuse_beside(call: options.Invocation, kind: str) -> None:
    """What these rules have no use for. Of zooming, which plays with certainty, also a log."""
    own = ("coordinates",) if kind == "zooming" else ("floor", "log")
    given = options.given(
        call, without=("folder", "file", "debug", "rule", "horizon", "seed", *own)
    )  # fmt: skip
    if given:
        raise ConfigError(
            f"{', '.join(given)} would change nothing: {kind} plays "
            + ("points with certainty" if kind == "zooming" else "the same options all along")
            + ", and learns from rewards alone. Leave that out, or take another --rule."
        )


def _refuse_ignored(call: options.Invocation, kinds: set[str], silence: str) -> None:
    if options.given(call, among=("noise",)) and "outcome" not in kinds:
        raise ConfigError(
            "--noise would change nothing: it is that of real rewards, which are not among the "
            "answers. Leave it out, or add reward to --answers."
        )
    if options.given(call, among=("patience",)) and silence == "missing":
        raise ConfigError(
            "--patience would change nothing: silence means nothing, however long it lasts. Leave "
            "it out, or say with --silence what it means."
        )


def _answer(decider: "Decider | CatalogueDecider", line: str, number: int) -> None:
    import json

    try:
        said = json.loads(line)
        if not isinstance(said, dict):
            raise DataError(f"it is a {type(said).__name__}; expected an object.")
        answered = decider.answer(said)
    except json.JSONDecodeError as error:
        raise DataError(
            f"line {number}: it is no JSON ({error}); expected an object. Lines before it are "
            "learnt and kept."
        ) from error
    except RecursionError:
        raise DataError(
            f"line {number}: objects stand within objects too deep to be read. Lines before it are "
            "learnt and kept."
        ) from None
    except (ValueError, DataError) as error:
        raise DataError(f"line {number}: {error} Lines before it are learnt and kept.") from error
    typer.echo(json.dumps(answered, ensure_ascii=False))


def _keep(decider: "Decider | CatalogueDecider", log: Path | None) -> None:
    """Adds what was answered to the log."""
    if log is not None and decider.logged:
        with log.open("a", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in decider.logged))
    decider.logged.clear()


def _lines(file: Path) -> Iterator[str]:
    import sys

    if str(file) == "-":
        yield from (line for line in sys.stdin if line.strip())
        return
    try:
        with file.open(encoding="utf-8-sig") as opened:
            yield from (line for line in opened if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} cannot be read ({error}); expected JSON lines.") from None
