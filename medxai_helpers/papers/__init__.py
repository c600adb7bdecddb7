"""The five papers: what they print, what they claim, and what can be said about it here."""

from medxai_helpers.papers.evidence import Finding, finding_of
from medxai_helpers.papers.ledger import claims_table, papers_markdown
from medxai_helpers.papers.published import PAPERS, Claim, Paper, PrintedAccuracy, load_paper

__all__ = [
    "PAPERS",
    "Claim",
    "Finding",
    "Paper",
    "PrintedAccuracy",
    "claims_table",
    "finding_of",
    "load_paper",
    "papers_markdown",
]
