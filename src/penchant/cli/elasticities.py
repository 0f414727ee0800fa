"""`penchant elasticities`: by how many per cent shares move when an attribute rises by one."""

from typing import Annotated, Any

import typer

from penchant.cli import options, shell
from penchant.errors import ConfigError


@shell.guarded
def elasticities(
    file: options.File,
    belief: options.BeliefFolder,
    feature: Annotated[
        list[str],
        typer.Option(
            "--feature",
            "-f",
            help="The attribute that rises, as in 'cost'. May be given several times.",
            show_default=False,
        ),
    ],
    draws: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Draws of our doubt, for 95 % intervals; 0 for none. Left out, 200 where all "
            "share one taste, 30 where tastes differ and each draw takes long.",
            show_default=False,
        ),
    ] = None,
    description: options.DescriptionFile = None,
    on_bad_rows: options.OnBadRows = "error",
    seed: options.Seed = 0,
    form: options.Form = "text",
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Own and cross elasticities: per cent of an option's share for one per cent of an attribute.

    A line is the option whose attribute rises, a column the option whose share answers.
    """
    import numpy as np

    from penchant.beliefs.belief import Belief
    from penchant.cli.reading import read_file
    from penchant.metrics.intervals import ENOUGH_FOR_QUANTILES
    from penchant.policies.oneshot.elasticities import elasticities as work_out
    from penchant.populations.pooled import Pooled

    shell.check_form(form, json)
    learnt = Belief.load(belief)
    records = read_file(
        file, description, on_bad_rows=on_bad_rows, belief=belief, quiet=json
    ).records
    if draws is None:
        draws = ENOUGH_FOR_QUANTILES if isinstance(learnt.population, Pooled) else 30
    found: list[Any] = []
    with shell.waiting("Working out who would answer to what", json):
        for name in feature:
            found += work_out(
                learnt, records, name, num_draws=draws, rng=np.random.default_rng(seed)
            )
    if json:
        from dataclasses import asdict

        shell.print_json([asdict(one) for one in found])
        return
    for name in feature:
        shell.print_table(_table(name, [one for one in found if one.feature == name]), form)


def _table(feature: str, found: list[Any]) -> Any:
    from penchant.models.table import Table

    names = tuple(dict.fromkeys(one.of for one in found))
    cells = {(one.changed, one.of): _cell(one) for one in found}
    # An option that does not have the attribute (a car's headway is 0) moves nothing.
    changed = [j for j in names if any(e.value != 0 for e in found if e.changed == j)]
    if not changed:
        raise ConfigError(
            f"{feature!r} moves no share: the model's formula does not use it. Fit a model that "
            "does, or ask for another attribute."
        )
    left_out = [j for j in names if j not in changed]
    notes = (f"{feature} is 0, or of no effect, for {', '.join(left_out)}.",) if left_out else ()
    return Table(
        title=f"Per cent of share for one per cent of {feature}",
        headings=names,
        rows=tuple((f"{feature} of {j}", *(cells[j, i] for i in names)) for j in changed),
        notes=notes,
        corner="",
    )


def _cell(one: Any) -> str:
    if one.low != one.low:
        return f"{one.value:.3f}"
    return f"{one.value:.3f} ({one.low:.3f} to {one.high:.3f})"
