"""Direct addresses of the data sets that need neither login nor form.

Each address was checked against the documentation named beside it and against public loaders that use it; none was
downloaded while this book was written.
"""

from __future__ import annotations

from dataclasses import dataclass

from medxai_helpers.datasets.medmnist_facts import FACTS
from medxai_helpers.datasets.medmnist_facts import SOURCE as ZENODO


@dataclass(frozen=True)
class Download:
    """One file to fetch. Introduced in chapter 01.

    Parameters
    ----------
    url : str
        Where it lies.
    filename : str
        What it is called once here.
    md5, sha256 : str or None
        Checksum as published; ``None`` where none is.
    size : int or None
        Length in bytes as published or seen by others; ``None`` where not known.
    """

    url: str
    filename: str
    md5: str | None = None
    sha256: str | None = None
    size: int | None = None


# https://datasets.simula.no/kvasir/ and https://datasets.simula.no/kvasir-seg/
_SIMULA = "https://datasets.simula.no/downloads"
# https://data.mendeley.com/datasets/rscbjbr9sj/2, file ChestXRay2017.zip
_MENDELEY = "https://data.mendeley.com/public-files/datasets/rscbjbr9sj/files"
# https://doi.org/10.7910/DVN/DBW86T and https://guides.dataverse.org/en/latest/api/dataaccess.html
_DATAVERSE = "https://dataverse.harvard.edu/api/access/datafile"
# https://nihcc.app.box.com/v/ChestXray-NIHCC: batch_download_zips.py, and question 7 of FAQ_CHESTXRAY.pdf for the MD5
_NIH = "https://nihcc.box.com/shared/static"
_NIH_FILES = (
    ("vfk49d74nhbxq3nqjg0900w5nvkorp5c", "fe8ed0a6961412fddcbb3603c11b3698", 2_008_470_987),
    ("i28rlmbvmfjbl8p2n3ril0pptcmcu9d1", "ab07a2d7cbe6f65ddd97b4ed7bde10bf", 3_952_623_504),
    ("f1t00wrtdk94satdfb9olcolqx20z2jp", "2301d03bde4c246388bad3876965d574", 3_929_234_850),
    ("0aowwzs5lhjrceb3qp67ahp0rd1l1etg", "9f1b7f5aae01b13f4bc8e2c44a4b8ef6", 3_838_903_983),
    ("v5e3goj22zr6h8tzualxfsqlqaygfbsn", "1861f3cd0ef7734df8104f2b0309023b", 3_935_496_531),
    ("asi7ikud9jwnkrnkj99jnpfkjdes7l6l", "456b53a8b351afd92a35bc41444c58c8", 3_986_301_172),
    ("jn1b4mw4n6lnh74ovmcjb8y48h8xj07n", "1075121ea20a137b87f290d6a4a5965e", 4_016_328_426),
    ("tvpxmn7qyrgl0w8wfh9kqfjskv6nmm1j", "b61f34cec3aa69f295fbb593cbd9d443", 4_018_347_353),
    ("upyy3ml7qdumlgk2rfcvlb9k6gvqq2pj", "442a3caa61ae9b64e61c561294d1e183", 4_111_327_929),
    ("l6nilvfa9cg3s28tqv1qc1olm3gnz54p", "09ec81c4c31e32858ad8cf965c494b74", 4_181_556_296),
    ("hhq8fkdgvcari67vfhs7ppg2w6ni4jze", "499aefc67207a5a97692424cf5dbeed5", 4_187_084_020),
    ("ioqwiy20ihqwyr8pf4c24eazhh281pbu", "dc9fda1757c2de0032b63347a7d2895c", 2_914_187_733),
)


def _medmnist(flag: str, side: int, md5: str) -> Download:
    filename = f"{flag}.npz" if side == 28 else f"{flag}_{side}.npz"
    return Download(f"{ZENODO}{filename}?download=1", filename, md5=md5)


SOURCES: dict[str, tuple[Download, ...]] = {
    "kvasir-v2": (Download(f"{_SIMULA}/kvasir/kvasir-dataset-v2.zip", "kvasir-dataset-v2.zip", size=2_489_312_085),),
    "kvasir-seg": (Download(f"{_SIMULA}/kvasir-seg.zip", "kvasir-seg.zip"),),
    "chest-xray-pneumonia": (
        Download(
            f"{_MENDELEY}/f12eaf6d-6023-432f-acc9-80c9d7393433/file_downloaded", "ChestXRay2017.zip", size=1_235_512_464
        ),
    ),
    "ham10000": (
        Download(f"{_DATAVERSE}/3172585", "HAM10000_images_part_1.zip"),
        Download(f"{_DATAVERSE}/3172584", "HAM10000_images_part_2.zip"),
        Download(f"{_DATAVERSE}/4338392?format=original", "HAM10000_metadata.csv"),
    ),
    "chestxray14": tuple(
        Download(f"{_NIH}/{key}.gz", f"images_{number:03d}.tar.gz", md5=md5, size=size)
        for number, (key, md5, size) in enumerate(_NIH_FILES, start=1)
    ),
} | {
    f"medmnist-{flag}" if side == 28 else f"medmnist-{flag}_{side}": (_medmnist(flag, side, md5),)
    for flag, facts in FACTS.items()
    for side, md5 in facts.md5.items()
}
"""Files of the sets that need no login; MedMNIST also as ``NAME_64``, ``_128`` and ``_224``."""

BY_HAND: dict[str, str] = {
    "chestxray14": (
        "The tables have no fixed address: take Data_Entry_2017_v2020.csv, BBox_List_2017.csv, train_val_list.txt and "
        "test_list.txt from https://nihcc.app.box.com/v/ChestXray-NIHCC"
    ),
}
"""What must still be added by hand after a set's files have been fetched."""
