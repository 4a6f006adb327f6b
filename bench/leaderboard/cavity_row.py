"""A row of the table of the heart's cavities."""

from dataclasses import dataclass

from bench.stats.agreement import Agreement


@dataclass(frozen=True, kw_only=True)
class CavityRow:
    """How well an entry measures one cavity of the heart, over patients; prediction minus reference.

    Args:
        entry: Name.
        label: Label of the cavity.
        ef: Of the ejection fraction, in percentage points.
        edv: Of the volume at end-diastole, in mL.
        esv: Of the volume at end-systole, in mL.
        left_out: Number of patients without ejection fraction, by reason.
        n_missed: Of them, those in which nothing was predicted at end-diastole.
    """

    entry: str
    label: str
    ef: Agreement
    edv: Agreement
    esv: Agreement
    left_out: dict[str, int]
    n_missed: int
