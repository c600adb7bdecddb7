"""The ledger of claims: every claim with its verdict and what it rests on, as a table and as a page of the book."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medxai_helpers.papers.evidence import finding_of
from medxai_helpers.papers.published import PAPERS, Paper, load_paper

if TYPE_CHECKING:
    import pandas as pd


def claims_table(key: str | None = None) -> pd.DataFrame:
    """Return every claim with its verdict and finding, computed now. Introduced in chapter 22.

    Parameters
    ----------
    key : str, optional
        One of ``PAPERS``; default: all five.

    Returns
    -------
    DataFrame
        Columns ``paper``, ``claim``, ``verdict``, ``finding``; index: the claim's id.
    """
    import pandas as pd

    rows = {}
    for paper in [load_paper(name) for name in ([key] if key else PAPERS)]:
        for claim in paper.claims:
            finding = finding_of(claim)
            rows[claim.id] = (paper.key, claim.claim, finding.verdict, finding.text)
    return pd.DataFrame.from_dict(rows, orient="index", columns=["paper", "claim", "verdict", "finding"])


def papers_markdown() -> str:
    """Render the ledger as Markdown, for the book's page on papers and claims."""
    return "\n\n".join(_section(load_paper(key)) for key in PAPERS)


def _section(paper: Paper) -> str:
    table = claims_table(paper.key)
    rows = [f"| {row.claim} | **{row.verdict}** | {row.finding} |" for row in table.itertuples()]
    head = [f"## {paper.title}", f"The paper: {{cite:t}}`{paper.key}`.", ""]
    return "\n".join([*head, "| claim, in our words | verdict | what it rests on |", "|---|---|---|", *rows])
