"""Reader of the COVID-19 Radiography Database's download layout.

``{COVID,Lung_Opacity,Normal,Viral Pneumonia}/{images,masks}/NAME-N.png``: pictures of 299 x 299 with masks of
256 x 256, some in colour. Which images are of one patient is not part of the download. A ``groups.csv`` in the folder
or its parent says it; else the pages of origin in ``*.metadata.xlsx`` and nearly equal images are grouped.
"""

from contextlib import closing
from pathlib import Path

from medseg.data.case import Case, Found, left_out_note, natural
from medseg.errors import DataError
from medseg.tasks import TaskSpec

LAYOUT = "COVID/images and COVID/masks (or Normal, ...), here or in COVID-19_Radiography_Dataset/"
LABEL_VALUES = frozenset({0, 255})

CLASSES = ("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia")
_NAME_COLUMN, _URL_COLUMN = "file name", "url"


def locate(path: Path) -> Path | None:
    """Returns the folder that holds the class folders, at `path` or where downloads put it."""
    inside = "COVID-19_Radiography_Dataset"
    for folder in (path, path / inside, path / "covid" / inside):
        if any((folder / name / "images").is_dir() for name in CLASSES):
            return folder
    return None


def read(root: Path, task: TaskSpec) -> Found:
    """Lists the cases below a folder that `locate` returned, without opening any image."""
    cases: list[Case] = []
    problems: list[str] = []
    for subgroup in CLASSES:
        images, masks = (_pictures(root / subgroup / part) for part in ("images", "masks"))
        for stem in sorted(images.keys() | masks.keys(), key=natural):
            if stem in images and stem in masks:
                cases.append(Case(stem, stem, subgroup, "", (images[stem],), masks[stem]))
            else:
                absent, present = ("image", "masks") if stem in masks else ("mask", "images")
                problems.append(f"{subgroup}/{present}/{stem}: has no {absent}")
    left_out = [
        f"{path.parent.name}/" for path in root.glob("[!.]*/images") if path.parent.name not in CLASSES
    ]
    left_out += [
        path.relative_to(root).as_posix()
        for part in ("images", "masks")
        for path in root.glob(f"*/{part}/[!.]*")
        if path.parent.parent.name in CLASSES and path.suffix.lower() != ".png"
    ]
    sheets = sorted(root.glob("*.metadata.xlsx"))
    sources, unread = _sources(sheets, {case.id.lower(): case.id for case in cases})
    return Found(
        tuple(cases),
        extra=tuple(sheets),
        problems=(*problems, *unread),
        values=LABEL_VALUES,
        sources=sources,
        guess_patients=True,
        notes=left_out_note(left_out),
    )


def _pictures(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        return {}
    shown = (path for path in folder.iterdir() if not path.name.startswith("."))
    return {path.stem: path for path in shown if path.suffix.lower() == ".png"}


def _sources(sheets: list[Path], names: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Page of origin by case id. The sheets write NORMAL-1 where the file is called Normal-1.png."""
    found: dict[str, str] = {}
    problems = []
    for sheet in sheets:
        try:
            rows = _rows(sheet)
        except DataError as error:
            problems.append(f"{sheet.name}: {error}")
            continue
        for name, url in rows:
            case_id = names.get(name.lower())
            if case_id is not None and url:
                found[case_id] = url
    return found, problems


def _rows(sheet: Path) -> list[tuple[str, str]]:
    import openpyxl

    try:
        with closing(openpyxl.load_workbook(sheet, read_only=True, data_only=True)) as book:
            table = [[str(cell or "").strip() for cell in row] for row in book.worksheets[0].values]
    # openpyxl raises whatever the broken bytes lead it to: BadZipFile, KeyError, InvalidFileException.
    except Exception as error:
        raise DataError(f"is not a readable spreadsheet ({' '.join(str(error).split())})") from error
    header = [cell.lower() for cell in table[0]] if table else []
    if _NAME_COLUMN not in header or _URL_COLUMN not in header:
        raise DataError(f"needs columns FILE NAME and URL, has {', '.join(header) or 'none'}")
    name, url = header.index(_NAME_COLUMN), header.index(_URL_COLUMN)
    return [(row[name], row[url]) for row in table[1:] if len(row) > max(name, url)]
