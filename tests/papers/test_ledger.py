"""Every claim of the five papers has a computed verdict, or says what is missing and which command would answer it."""

from __future__ import annotations

import pytest

from medxai_helpers.papers import PAPERS, Claim, claims_table, finding_of, load_paper, papers_markdown
from medxai_helpers.papers.evidence import EVIDENCE
from medxai_helpers.papers.published import UNTESTED
from tools.project import ROOT

CLAIMS = [claim for key in PAPERS for claim in load_paper(key).claims]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_the_entered_verdict_is_the_computed_one(claim: Claim) -> None:
    finding = finding_of(claim)
    assert finding.verdict == claim.verdict
    assert len(finding.text) > 40


def test_every_computation_serves_a_claim() -> None:
    assert {claim.evidence for claim in CLAIMS} - {None} == set(EVIDENCE)


def test_ids_are_unique_and_name_their_paper() -> None:
    assert len({claim.id for claim in CLAIMS}) == len(CLAIMS)
    assert all(claim.id.startswith(f"{key}-") for key in PAPERS for claim in load_paper(key).claims)


def test_the_table_and_the_page_hold_every_claim() -> None:
    table, page = claims_table(), papers_markdown()
    assert list(table.index) == [claim.id for claim in CLAIMS]
    assert all(claim.claim in page for claim in CLAIMS)
    assert page.count("\n| ") == len(CLAIMS) + len(PAPERS)


def test_a_command_that_would_answer_a_claim_exists() -> None:
    for claim in CLAIMS:
        if claim.command:
            assert claim.command.startswith("make results STUDY=")
            assert (ROOT / "benchmarks" / "experiments" / f"{claim.command.split('=')[1]}.py").is_file(), claim.id


def test_a_claim_without_evidence_or_reason_is_refused() -> None:
    with pytest.raises(ValueError, match="with a reason"):
        Claim("aragon2025-x", "It is so", UNTESTED)
    with pytest.raises(ValueError, match="verdict among"):
        Claim("aragon2025-x", "It is so", "true", "tables")
    with pytest.raises(ValueError, match="Expected evidence among"):
        finding_of(Claim("aragon2025-x", "It is so", "supported", "no such"))


def test_an_unknown_paper_is_refused() -> None:
    with pytest.raises(ValueError, match="Expected a paper among"):
        load_paper("aragon2024")
