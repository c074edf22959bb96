"""From what is left over to plain-language questions, a proposal, and the changes a decision makes."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace

from engine.asking import questions
from engine.drift import Drift, DriftCode
from engine.errors import DecisionInvalid, ProposalChanged
from engine.outcome import Outcome
from engine.proposal import (
    Custom,
    Decision,
    Effect,
    Option,
    Proposal,
    Question,
    Repair,
    RepairKind,
    Target,
    Verdict,
)
from engine.readings import is_reading
from plans.changes import (
    AddAlias,
    AddFormats,
    AddMapping,
    Change,
    MapValues,
    SetDefault,
    SetOptional,
)
from plans.document import Document
from plans.errors import ChangeConflict
from plans.plan import Mapping as PlanMapping
from plans.template import FieldType, Severity
from plans.versions import PlanVersion

#: A heal is at least this sure (trust.md L11).
SURE = 0.98
#: A repair this likely is part of the proposal; a weaker one is only an option of a question.
LIKELY = 0.8
#: Several of these for one field exclude each other.
_ALTERNATIVES = (RepairKind.AMBIGUOUS_FORMAT, RepairKind.POLICY)


def heals(repairs: Sequence[Repair], *, auto_approve: float | None = None) -> tuple[Repair, ...]:
    """What may be applied unattended: proven, harmless, and without a rival (architecture.md 11).

    `auto_approve` also lets through what changes a meaning but breaks nothing and is that sure.
    """
    found = []
    for repair in repairs:
        effect = repair.effect
        if effect is None or effect.broken or effect.valid_after < effect.valid_before:
            continue
        if repair.kind in _ALTERNATIVES or _rivals(repair, repairs):
            continue
        if (_proven(repair) and effect.changed == 0) or _allowed(repair, auto_approve):
            found.append(repair)
    return tuple(found)


def decides(repair: Repair, *, auto_approve: float | None = None) -> bool:
    """Whether `heals` depends on what its trial says: it could be one, or a rival of one."""
    return repair.kind not in _ALTERNATIVES and (
        repair.kind is RepairKind.REBIND or _proven(repair) or _allowed(repair, auto_approve)
    )


def _proven(repair: Repair) -> bool:
    return repair.keeps_meaning and repair.confidence >= SURE and repair.by != "model"


def _allowed(repair: Repair, auto_approve: float | None) -> bool:
    return auto_approve is not None and repair.confidence >= auto_approve


def propose(
    version: PlanVersion,
    outcome: Outcome,
    repairs: Sequence[Repair],
    *,
    inputs: Sequence[str],
    drifts: Sequence[Drift] = (),
) -> Proposal:
    """One revision with everything a person needs to decide on it. `repairs` are tried."""
    firm = tuple(each for each in repairs if _firm(each, repairs))
    others = tuple(each for each in repairs if each not in firm)
    asked = questions(version, outcome, firm=firm, options=others, drifts=drifts)
    summary = _summary(outcome, firm, asked)
    return proposed(version, asked, inputs=inputs, repairs=firm, summary=summary)


def proposed(
    version: PlanVersion,
    asked: tuple[Question, ...],
    *,
    inputs: Sequence[str],
    repairs: tuple[Repair, ...] = (),
    summary: str = "",
) -> Proposal:
    """These questions and repairs under one ETag."""
    proposal = Proposal(
        plan_digest=version.digest,
        inputs=tuple(inputs),
        summary=summary or f"{_count(len(asked), 'question')} to answer before anything is checked",
        repairs=repairs,
        questions=asked,
        etag="",
    )
    return replace(proposal, etag=etag(proposal))


def file_questions(drifts: Iterable[Drift], seen: Proposal | None = None) -> tuple[Question, ...]:
    """Whether a file that hardly has a planned column is the right one: asked once, before its columns."""
    if seen and not all(map(is_reading, seen.questions)):
        return ()
    found = {each.sheet: _about_file(each) for each in drifts if each.code is DriftCode.UNLIKE}
    return tuple(found.values())


def _about_file(drift: Drift) -> Question:
    return Question(
        id=f"{drift.sheet}.file",
        prompt=f"{drift.message}. Did you upload the wrong file?",
        context=f"Not found: {drift.expected}. The file has: {drift.found}.",
        target=Target(
            sheet=drift.sheet,
            field=None,
            column=None,
            affected=drift.count,
            samples=(),
            error=drift.message,
        ),
        options=(
            Option(id="another", label="Yes: end this import and upload another file", ends=True),
            Option(id="go_on", label="No, it is the right one: go on to its columns"),
        ),
    )


def etag(proposal: Proposal) -> str:
    """SHA-256 (hex) over everything a person sees and everything it would change."""
    values = asdict(replace(proposal, etag=""))
    text = json.dumps(values, sort_keys=True, default=_document, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def decide(proposal: Proposal, decision: Decision, version: PlanVersion) -> tuple[Change, ...]:
    """The changes of a decision; none for a rejection.

    Raises ProposalChanged when it is about another proposal or plan version, DecisionInvalid for
    a question, option or repair that is not there.
    """
    if decision.etag != proposal.etag:
        raise ProposalChanged("the proposal is not the one that was decided on; look at it again")
    if proposal.plan_digest != version.digest:
        raise ProposalChanged("the plan was revised since the proposal was made; run it again")
    _check(proposal, decision)
    if decision.verdict in (Verdict.REJECT, Verdict.TAKE_VALID):
        return ()
    taken = [each for each in proposal.repairs if each.id not in decision.without]
    changes = [change for repair in taken for change in repair.changes]
    for question in proposal.questions:
        answer = decision.answers.get(question.id)
        if answer is None and decision.verdict is Verdict.ACCEPT:
            answer = question.recommended
        if answer is not None:
            changes += _answered(question, answer, version)
    return tuple(changes)


def promised(proposal: Proposal, decision: Decision, *, valid: int) -> int | None:
    """The valid rows a person was shown for this decision; None where it was not tried as a whole.

    `valid`: those of the run as it waited. Several changes were each tried alone.
    """
    effects = [each.effect for each in proposal.repairs if each.id not in decision.without]
    if decision.verdict is Verdict.TAKE_VALID:
        effects = []
    for question in proposal.questions:
        answer = decision.answers.get(question.id)
        if answer is None and decision.verdict is Verdict.ACCEPT:
            answer = question.recommended
        if answer is not None and decision.verdict is not Verdict.TAKE_VALID:
            chosen = [each for each in question.options if each.id == answer]
            effects += [each.effect for each in chosen if each.changes] if chosen else [None]
    match effects:
        case []:
            return valid
        case [Effect() as only]:
            return only.valid_after
    return None


def settled(seen: Proposal, outcome: Outcome, open_drifts: Sequence[Drift]) -> bool:
    """Whether everything left over stood in the proposal that was decided, and not more of it."""
    shown: Counter[tuple[str, str | None]] = Counter()
    for each in seen.questions:
        if is_reading(each) or each.decisive:
            continue
        shown[each.target.sheet, each.target.field] += each.target.affected
    left = [
        (group.sheet, group.field, group.cells)
        for sheet in outcome.sheets
        for group in sheet.groups
        if group.severity is Severity.ERROR
    ]
    left += [(drift.sheet, drift.field, 0) for drift in open_drifts]
    return all(
        (sheet, field) in shown and cells <= shown[sheet, field] for sheet, field, cells in left
    )


def _rivals(repair: Repair, repairs: Iterable[Repair]) -> bool:
    """Whether another repair would do the same job in another way, and is nearly as sure."""
    return any(
        other.id != repair.id
        and (other.sheet, other.field) == (repair.sheet, repair.field)
        and (other.kind, repair.kind) == (RepairKind.REBIND, RepairKind.REBIND)
        and repair.confidence - other.confidence < 0.05
        for other in repairs
    )


def _firm(repair: Repair, repairs: Sequence[Repair]) -> bool:
    return (
        repair.kind not in _ALTERNATIVES
        and repair.confidence >= LIKELY
        and not _rivals(repair, repairs)
    )


def _check(proposal: Proposal, decision: Decision) -> None:
    known = {question.id for question in proposal.questions}
    if strange := sorted(set(decision.answers) - known):
        raise DecisionInvalid(f"the proposal has no question {', '.join(strange)}")
    repairs = {repair.id for repair in proposal.repairs}
    if strange := sorted(set(decision.without) - repairs):
        raise DecisionInvalid(f"the proposal has no repair {', '.join(strange)}")
    for question in proposal.questions:
        goes_on = decision.verdict in (Verdict.ACCEPT, Verdict.ANSWER)
        if goes_on and question.decisive and question.id not in decision.answers:
            ids = ", ".join(option.id for option in question.options)
            raise DecisionInvalid(f"question {question.id!r} needs an answer first, one of: {ids}")


def _answered(question: Question, answer: str, version: PlanVersion) -> Sequence[Change]:
    for option in question.options:
        if option.id == answer:
            return option.changes
    if question.custom is None or not answer.strip():
        ids = ", ".join(option.id for option in question.options)
        raise DecisionInvalid(f"question {question.id!r} has no option {answer!r}; it has: {ids}")
    try:
        return _custom(question, answer, version)
    except ValueError as error:
        raise DecisionInvalid(f"question {question.id!r}: {error}") from None
    except ChangeConflict as error:
        raise DecisionInvalid(f"question {question.id!r}: {error}") from None


def _custom(question: Question, answer: str, version: PlanVersion) -> Sequence[Change]:
    """What a free-text answer means for this question's field."""
    target = question.target
    sheet = version.plan.sheet(target.sheet)
    field = version.template(sheet.template).field(target.field or "")
    mapping = sheet.mapping(field.name)
    match question.custom:
        case Custom.MEANING:
            if field.type is FieldType.ENUM and answer not in field.values:
                raise ValueError(f"{answer!r} is not one of {', '.join(field.values)}")
            values: Mapping[str, str] = dict.fromkeys(target.samples, answer)
            return (MapValues(sheet=sheet.name, field=field.name, values=dict(values)),)
        case Custom.FORMAT:
            kind = "datetime" if field.type is FieldType.DATETIME else "date"
            return (
                AddFormats.model_validate(
                    {"sheet": sheet.name, "field": field.name, "kind": kind, "formats": [answer]}
                ),
            )
        case Custom.HEADER if mapping is not None and mapping.columns:
            name = mapping.columns[0].header
            if name is None:
                raise ValueError("the plan addresses the column by position; give a mapping")
            return (AddAlias(sheet=sheet.name, field=field.name, header=name, alias=answer),)
        case Custom.HEADER:
            new = PlanMapping.model_validate({"field": field.name, "from": answer})
            return (AddMapping(sheet=sheet.name, mapping=new),)
        case _ if mapping is None:
            new = PlanMapping.model_validate({"field": field.name, "default": answer})
            return (AddMapping(sheet=sheet.name, mapping=new),)
        case _:
            optional = SetOptional(sheet=sheet.name, field=field.name, optional=True)
            return (SetDefault(sheet=sheet.name, field=field.name, value=answer), optional)


def _summary(outcome: Outcome, firm: Sequence[Repair], asked: Sequence[Question]) -> str:
    total = outcome.accounting
    done = f"{total.valid} of {total.read} rows are valid"
    fixed = sum(each.effect.fixed for each in firm if each.effect)
    does = f"would fix {_count(fixed, 'cell')}" if fixed else "proposed"
    offer = f"; {_count(len(firm), 'repair')} {does}" if firm else ""
    ask = f"; {_count(len(asked), 'question')} to answer" if asked else ""
    return done + offer + ask


def _count(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")


def _document(value: object) -> object:
    if isinstance(value, Document):
        return value.model_dump(mode="json")
    raise TypeError(f"a proposal cannot hold {type(value).__name__}")
