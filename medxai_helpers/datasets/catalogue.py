"""One table of data sets. A new one is a card here, a reader and a phantom; nothing else changes."""

from __future__ import annotations

from medxai_helpers.cohorts.card import DatasetCard
from medxai_helpers.datasets.medmnist_facts import FACTS, SOURCE, MedMnistFacts

MEDICAL_MNIST = DatasetCard(
    name="medical-mnist",
    title="Medical MNIST",
    modality="CT, MRI and radiographs, reduced to thumbnails",
    task="multi-class",
    classes=("AbdomenCT", "BreastMRI", "CXR", "ChestCT", "Hand", "HeadCT"),
    channels=1,
    counts={
        "AbdomenCT": 10_000,
        "BreastMRI": 8_954,
        "CXR": 10_000,
        "ChestCT": 10_000,
        "Hand": 10_000,
        "HeadCT": 10_000,
    },
    group=None,
    licence="CC BY-SA 4.0",
    home="https://github.com/apolanco3225/Medical-MNIST-Classification",
    how_to_get="Download the collection (grey JPEGs of 64 x 64 pixels in one folder per class) from its home page.",
    citation="sandoval2024",
    archive="medical-mnist.zip",
    used_by=("sandoval2024",),
    notes="No patient ids: images of one patient may lie on both sides of any split, so scores are optimistic.",
    images=58_954,
    aliases=("medical_mnist", "Medical-MNIST", "archive-medical-mnist.zip"),
)

KVASIR_V2 = DatasetCard(
    name="kvasir-v2",
    title="Kvasir v2",
    modality="gastrointestinal endoscopy",
    task="multi-class",
    classes=(
        "dyed-lifted-polyps",
        "dyed-resection-margins",
        "esophagitis",
        "normal-cecum",
        "normal-pylorus",
        "normal-z-line",
        "polyps",
        "ulcerative-colitis",
    ),
    channels=3,
    counts={
        "dyed-lifted-polyps": 1_000,
        "dyed-resection-margins": 1_000,
        "esophagitis": 1_000,
        "normal-cecum": 1_000,
        "normal-pylorus": 1_000,
        "normal-z-line": 1_000,
        "polyps": 1_000,
        "ulcerative-colitis": 1_000,
    },
    group=None,
    licence="research and educational use only; other use needs written permission",
    home="https://datasets.simula.no/kvasir/",
    how_to_get=(
        "Download kvasir-dataset-v2.zip from https://datasets.simula.no/kvasir/ (no login); "
        "it unpacks to kvasir-dataset-v2/CLASS/*.jpg."
    ),
    citation="pogorelov2017",
    archive="kvasir-dataset-v2.zip",
    used_by=("aragon2025",),
    notes=(
        "No patient ids and no official split: neighbouring frames of one examination look alike, so a random split "
        "leaks. Group by perceptual hash and report both. Some frames show the position of the endoscope in a green "
        "picture-in-picture: a shortcut."
    ),
    images=8_000,
    url="https://datasets.simula.no/downloads/kvasir/kvasir-dataset-v2.zip",
)

COVID19_RADIOGRAPHY = DatasetCard(
    name="covid19-radiography",
    title="COVID-19 Radiography Database",
    modality="chest radiograph",
    task="multi-class",
    classes=("COVID", "Normal", "Viral Pneumonia", "Lung_Opacity"),
    channels=1,
    counts={"COVID": 3_616, "Normal": 10_192, "Viral Pneumonia": 1_345, "Lung_Opacity": 6_012},
    group=None,
    licence="research use; each source keeps its own terms",
    home="https://www.kaggle.com/datasets/tawsifurrahman/covid19-radiography-database",
    how_to_get=(
        "Log in to Kaggle, open https://www.kaggle.com/datasets/tawsifurrahman/covid19-radiography-database, press "
        "'Download' (or: kaggle datasets download tawsifurrahman/covid19-radiography-database); "
        "it unpacks to COVID-19_Radiography_Dataset/CLASS/{images,masks}."
    ),
    citation="rahman2021",
    archive="covid19-radiography-database.zip",
    used_by=("abboud2025",),
    notes=(
        "Each class comes from other hospitals (COVID mostly from PadChest, Viral Pneumonia from the Kermany "
        "children): "
        "a model can learn the source instead of the disease. No patient ids. The first description of the set is "
        "chowdhury2020."
    ),
    images=21_165,
    aliases=(
        "COVID-19_Radiography_Dataset",
        "COVID-19 Radiography Database",
        "COVID-19_Radiography_Dataset.zip",
        "covid19-radiography.zip",
    ),
    annotations=("masks",),
)

CHESTXRAY14 = DatasetCard(
    name="chestxray14",
    title="ChestX-ray14",
    modality="chest radiograph",
    task="multi-label",
    classes=(
        "Atelectasis",
        "Cardiomegaly",
        "Effusion",
        "Infiltration",
        "Mass",
        "Nodule",
        "Pneumonia",
        "Pneumothorax",
        "Consolidation",
        "Edema",
        "Emphysema",
        "Fibrosis",
        "Pleural_Thickening",
        "Hernia",
    ),
    channels=1,
    counts={
        "Atelectasis": 11_559,
        "Cardiomegaly": 2_776,
        "Effusion": 13_317,
        "Infiltration": 19_894,
        "Mass": 5_782,
        "Nodule": 6_331,
        "Pneumonia": 1_431,
        "Pneumothorax": 5_302,
        "Consolidation": 4_667,
        "Edema": 2_303,
        "Emphysema": 2_516,
        "Fibrosis": 1_686,
        "Pleural_Thickening": 3_385,
        "Hernia": 227,
    },
    group="patient",
    licence="free use; the NIH Clinical Center asks to be named as provider and for a citation",
    home="https://nihcc.app.box.com/v/ChestXray-NIHCC",
    how_to_get=(
        "Open https://nihcc.app.box.com/v/ChestXray-NIHCC (no login), download the twelve archives of the folder "
        "'images' with Data_Entry_2017_v2020.csv, BBox_List_2017.csv, train_val_list.txt and test_list.txt, and unpack "
        "them into one folder chestxray14/: images_001/images/*.png ... or images/*.png."
    ),
    citation="wang2017",
    archive="chestxray14.zip",
    used_by=("verma2023",),
    notes=(
        "Labels are mined from reports by software; 60,361 of 112,120 images have none of the 14 findings, "
        "which is not "
        "the same as healthy. Accuracy says little: 'no finding' everywhere scores above 0.9 a label. Counts are those "
        "of the table of 2020; that of 2017 differs in a few labels. 984 boxes on 880 images, 8 classes."
    ),
    images=112_120,
    aliases=("ChestX-ray14", "ChestXray-NIHCC", "CXR8", "nih-chest-xrays", "NIH"),
    annotations=("boxes", "official split"),
)

BRATS = DatasetCard(
    name="brats",
    title="BraTS, axial slices",
    modality="brain MRI (FLAIR, T1, contrast-enhanced T1, T2)",
    task="multi-class",
    classes=("no tumour", "tumour"),
    channels=1,
    counts={},
    group="patient",
    licence="research use after registration (2020); CC BY 4.0 (the copy of 2021 in The Cancer Imaging Archive)",
    home="https://www.synapse.org/brats",
    how_to_get=(
        "Make a Synapse account, register for the challenge at https://www.synapse.org/brats, accept the terms, "
        "download "
        "the training data (2020: MICCAI_BraTS2020_TrainingData, 2021: RSNA_ASNR_MICCAI_BraTS2021_TrainingData) and "
        "unpack it: CASE/CASE_{flair,t1,t1ce,t2,seg}.nii or .nii.gz."
    ),
    citation="baid2021",
    archive="MICCAI_BraTS2020_TrainingData.zip",
    used_by=("verma2023",),
    notes=(
        "369 patients with segmentation in 2020, 1,251 in 2021, all with glioma: 'no tumour' is a slice of a "
        "patient with "
        "tumour elsewhere, not a healthy brain. Neighbouring slices are near copies: split by patient. How many slices "
        "there are depends on the reader's settings. Earlier descriptions: menze2015, bakas2017."
    ),
    aliases=(
        "BraTS2020_TrainingData",
        "RSNA_ASNR_MICCAI_BraTS2021_TrainingData",
        "BraTS2021_Training_Data",
        "RSNA_ASNR_MICCAI_BraTS2021_TrainingData.zip",
        "BraTS2021_Training_Data.tar",
    ),
    annotations=("masks",),
)

HAM10000 = DatasetCard(
    name="ham10000",
    title="HAM10000",
    modality="dermoscopy",
    task="multi-class",
    classes=("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"),
    channels=3,
    counts={"akiec": 327, "bcc": 514, "bkl": 1_099, "df": 115, "mel": 1_113, "nv": 6_705, "vasc": 142},
    group="lesion",
    licence="CC BY-NC 4.0",
    home="https://doi.org/10.7910/DVN/DBW86T",
    how_to_get=(
        "Open https://doi.org/10.7910/DVN/DBW86T (Harvard Dataverse, no login; accept the terms), download "
        "HAM10000_images_part_1.zip, HAM10000_images_part_2.zip and HAM10000_metadata (as CSV), and unpack them "
        "into one "
        "folder ham10000/ beside the table."
    ),
    citation="tschandl2018",
    archive="ham10000.zip",
    used_by=("verma2023",),
    notes=(
        "7,470 lesions in 10,015 images: split by lesion, or copies leak. Class order: the ISIC codes by alphabet (the "
        "paper that uses the set states none). Two of three images are nevi, mostly of light skin."
    ),
    images=10_015,
    aliases=("HAM10000", "skin-cancer-mnist-ham10000", "skin-cancer-mnist-ham10000.zip", "dataverse_files.zip"),
    annotations=("masks",),
)

LIDC_IDRI = DatasetCard(
    name="lidc-idri",
    title="LIDC-IDRI, nodule patches",
    modality="chest CT",
    task="multi-class",
    classes=("benign", "malignant"),
    channels=1,
    counts={},
    group="patient",
    licence="CC BY 3.0",
    home="https://www.cancerimagingarchive.net/collection/lidc-idri/",
    how_to_get=(
        "Open https://www.cancerimagingarchive.net/collection/lidc-idri/ (no login), download the manifest of "
        "the images "
        "(.tcia), open it with the NBIA Data Retriever and choose the classic directory layout; download the archive "
        "'LIDC-XML-only' too and unpack it into the same folder LIDC-IDRI/."
    ),
    citation="armato2011",
    archive="LIDC-IDRI.zip",
    used_by=("verma2023",),
    notes=(
        "1,010 patients, 1,018 CT series, 125 GB. 'Malignant' is what up to four radiologists thought, not what "
        "a biopsy "
        "showed: the mean rating is above 3; below 3 is benign, exactly 3 is left out. How many patches there "
        "are depends "
        "on the reader's settings."
    ),
    aliases=("LIDC-IDRI",),
    annotations=("masks",),
)

CHEST_XRAY_PNEUMONIA = DatasetCard(
    name="chest-xray-pneumonia",
    title="Chest X-Ray Images (Kermany)",
    modality="chest radiograph of children",
    task="multi-class",
    classes=("NORMAL", "PNEUMONIA"),
    channels=1,
    counts={"NORMAL": 1_583, "PNEUMONIA": 4_273},
    group="patient",
    licence="CC BY 4.0",
    home="https://data.mendeley.com/datasets/rscbjbr9sj/2",
    how_to_get=(
        "Download ChestXRay2017.zip from https://data.mendeley.com/datasets/rscbjbr9sj/2 (no login), or log in "
        "to Kaggle "
        "and download paultimothymooney/chest-xray-pneumonia; both unpack to chest_xray/{train,test}/CLASS."
    ),
    citation="kermany2018",
    archive="chest-xray-pneumonia.zip",
    notes=(
        "Children of one to five years from one hospital. Some patient numbers occur in the official train and test "
        "parts: split by patient. Of the 5,856 images, Kaggle's copy sets 16 of the training images aside in 'val'."
    ),
    images=5_856,
    aliases=("chest_xray", "chest_xray.zip", "ChestXRay2017", "ChestXRay2017.zip"),
    annotations=("official split",),
)

BRAIN_TUMOR_MRI = DatasetCard(
    name="brain-tumor-mri",
    title="Brain Tumor MRI Dataset",
    modality="brain MRI",
    task="multi-class",
    classes=("glioma", "meningioma", "notumor", "pituitary"),
    channels=1,
    counts={"glioma": 1_621, "meningioma": 1_645, "notumor": 2_000, "pituitary": 1_757},
    group=None,
    licence="CC0 as published; the images of cheng2015 in it are CC BY 4.0",
    home="https://www.kaggle.com/datasets/masoudnickparvar/brain-tumor-mri-dataset",
    how_to_get=(
        "Log in to Kaggle, open https://www.kaggle.com/datasets/masoudnickparvar/brain-tumor-mri-dataset and press "
        "'Download'; it unpacks to {Training,Testing}/CLASS."
    ),
    citation="nickparvar2021",
    archive="brain-tumor-mri-dataset.zip",
    notes=(
        "Put together from three collections without patient ids; slices of one patient, and exact copies, lie in both "
        "official parts. Images without tumour come from another collection than those with: a shortcut."
    ),
    images=7_023,
    aliases=("brain-tumor-mri", "brain-tumor-mri.zip"),
    annotations=("official split",),
)

KVASIR_SEG = DatasetCard(
    name="kvasir-seg",
    title="Kvasir-SEG",
    modality="gastrointestinal endoscopy",
    task="multi-class",
    classes=("polyp",),
    channels=3,
    counts={"polyp": 1_000},
    group=None,
    licence="research and educational use only; other use needs written permission",
    home="https://datasets.simula.no/kvasir-seg/",
    how_to_get=(
        "Download kvasir-seg.zip from https://datasets.simula.no/kvasir-seg/ (no login); "
        "it unpacks to Kvasir-SEG/{images,masks}."
    ),
    citation="jha2020",
    archive="kvasir-seg.zip",
    notes="Every image shows a polyp: a set to grade explanations on, not to train a classifier with.",
    images=1_000,
    aliases=("Kvasir-SEG", "Kvasir-SEG.zip"),
    url="https://datasets.simula.no/downloads/kvasir-seg.zip",
    annotations=("masks", "boxes"),
)


def _medmnist_card(flag: str, facts: MedMnistFacts) -> DatasetCard:
    """Return the card of one MedMNIST set; its archive is that of 28 pixels, larger ones are aliases."""
    larger = [size for size in sorted(facts.md5, reverse=True) if size != min(facts.md5)]
    train, validation, test = facts.images
    return DatasetCard(
        name=f"medmnist-{flag}",
        title=f"MedMNIST {flag}",
        modality=facts.modality,
        task="multi-label" if facts.multi_label else "multi-class",
        classes=facts.classes,
        channels=facts.channels,
        counts={},
        group=None,
        licence=facts.licence,
        home="https://medmnist.com",
        how_to_get=(
            f"Download {flag}.npz (28 pixels) or {flag}_64.npz, {flag}_128.npz, {flag}_224.npz from "
            "https://zenodo.org/records/10519652 (no login)."
        ),
        citation="yang2023",
        archive=f"{flag}.npz",
        notes=(
            f"Official parts: {train:,} train, {validation:,} validation, {test:,} test. No patient or lesion ids, so "
            "groups of the source set may be split"
            + (": 886 of the 2,005 test images share a lesion with train." if flag == "dermamnist" else ".")
        ),
        images=sum(facts.images),
        aliases=(*(f"{flag}_{size}.npz" for size in larger), "medmnist"),
        url=f"{SOURCE}{flag}.npz",
        md5=facts.md5[min(facts.md5)],
        annotations=("official split",),
    )


_CARDS = (
    KVASIR_V2,
    COVID19_RADIOGRAPHY,
    MEDICAL_MNIST,
    CHESTXRAY14,
    BRATS,
    HAM10000,
    LIDC_IDRI,
    CHEST_XRAY_PNEUMONIA,
    BRAIN_TUMOR_MRI,
    KVASIR_SEG,
    *(_medmnist_card(flag, facts) for flag, facts in FACTS.items()),
)
CATALOGUE: dict[str, DatasetCard] = {card.name: card for card in _CARDS}
"""Every data set the book knows, by name."""
