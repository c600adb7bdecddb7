"""What is known about a data set before a single pixel is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

Task = Literal["multi-class", "multi-label"]


@dataclass(frozen=True)
class DatasetCard:
    """The facts about one data set. Introduced in chapter 01.

    Parameters
    ----------
    name : str
        The key used everywhere: ``load_dataset(name)``.
    title : str
        Full name, as the field writes it.
    modality : str
        How the images were made, for example ``"chest radiograph"``.
    task : {"multi-class", "multi-label"}
        One label an image, or any number of them.
    classes : tuple of str
        Class names in the order of their indices (the order of the paper that uses the set).
    channels : {1, 3}
        Grey images keep one channel; colour images are RGB.
    counts : mapping of class name to int
        Images per class in the complete set, as published; empty where it is not published, or where the images are cut
        from volumes and their number depends on the reader's settings.
    group : str or None
        What ties images together and must not be split (``"patient"``, ``"lesion"``, ...); ``None`` if the set does not
        say.
    licence, home, how_to_get : str
        Terms of use, home page, and how to obtain the files.
    citation : str
        Key in the book's bibliography.
    archive : str
        Usual file name of the downloaded archive; without its suffix also the usual name of the folder.
    sha256, md5 : str or None
        Checksum of that archive where one is known.
    used_by : tuple of str
        Citation keys of the papers in this book that use the set.
    notes : str
        What a reader must know before trusting a score on it.
    images : int or None
        Images in the complete set; ``None`` where it depends on the reader's settings.
    aliases : tuple of str
        Other names of the folder or archive under the data root.
    url : str or None
        Direct address of the archive, for sets without login or form.
    annotations : tuple of str
        What the complete set has beyond labels: ``"masks"``, ``"boxes"``, ``"official split"``.
    """

    name: str
    title: str
    modality: str
    task: Task
    classes: tuple[str, ...]
    channels: Literal[1, 3]
    counts: dict[str, int]
    group: str | None
    licence: str
    home: str
    how_to_get: str
    citation: str
    archive: str
    sha256: str | None = None
    used_by: tuple[str, ...] = ()
    notes: str = ""
    images: int | None = None
    aliases: tuple[str, ...] = ()
    url: str | None = None
    md5: str | None = None
    annotations: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the card as plain values, ready for JSON. Introduced in chapter 01."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> DatasetCard:
        """Read what :meth:`as_dict` wrote. Introduced in chapter 01.

        Raises
        ------
        ValueError
            If a field is missing or unknown.
        """
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in content.items()
        }
        try:
            return cls(**values)
        except TypeError as error:
            names = [field.name for field in fields(cls)]
            raise ValueError(f"Expected a card with the fields {names}, but got {sorted(content)}.") from error
