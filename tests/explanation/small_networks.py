"""Small networks whose explanations are known, and images for them."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class FourWeights(nn.Module):
    """Two feature maps that copy and negate the image, pooled into two classes: the map is known by hand."""

    def __init__(self):
        super().__init__()
        self.features = nn.Conv2d(1, 2, 1, bias=False)
        self.classifier = nn.Linear(2, 2, bias=False)
        with torch.no_grad():
            self.features.weight[:] = torch.tensor([1.0, -1.0]).view(2, 1, 1, 1)
            self.classifier.weight[:] = torch.tensor([[2.0, 0.0], [0.0, 3.0]])

    def forward(self, x):
        return self.classifier(self.features(x).mean(dim=(2, 3)))


class OneAttention(nn.Module):
    """Four pixels as tokens of one number behind a class token of 0, one head without any learned projection."""

    def __init__(self, library=False):
        super().__init__()
        self.library = library
        self.attention = nn.MultiheadAttention(1, 1, bias=False, batch_first=True)
        self.head = nn.Linear(1, 2, bias=False)
        with torch.no_grad():
            self.attention.in_proj_weight[:] = 1
            self.attention.out_proj.weight[:] = 1
            self.head.weight[:] = torch.tensor([[1.0], [-1.0]])

    def forward(self, x):
        tokens = functional.pad(x.flatten(1), (1, 0))[..., None]
        if self.library:
            mixed, _ = self.attention(tokens, tokens, tokens, need_weights=False)
        else:
            one_head = tokens[:, None]
            mixed = functional.scaled_dot_product_attention(one_head, one_head, one_head)[:, 0]
        return self.head(mixed[:, 0])


class TinyViT(nn.Module):
    """Two blocks of torch's own encoder on patches of 4 x 4 pixels."""

    def __init__(self, channels=1, classes=3, norm_first=True):
        super().__init__()
        self.patches = nn.Conv2d(channels, 8, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=norm_first)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(8, classes)

    def forward(self, x):
        tokens = self.patches(x).flatten(2).mT
        return self.head(self.encoder(torch.cat([self.token.expand(len(x), -1, -1), tokens], dim=1))[:, 0])


def small_cnn(channels=1, classes=3):
    """Two convolutions, a pool and a linear head."""
    features = [nn.Conv2d(channels, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2)]
    features += [nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(inplace=True)]
    return nn.Sequential(*features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(8, classes))


def built(maker, seed=0, **facts):
    """Make a network with a seed and leave the global random state alone."""
    from medxai_helpers.runtime import seeded

    with seeded(seed):
        return maker(**facts)


def pictures(count=3, channels=1, size=16, seed=0):
    """Standard normal images."""
    return torch.randn(count, channels, size, size, generator=torch.Generator().manual_seed(seed))


def squares(count=200, seed=0, size=16, side=4):
    """Noise, and in every second image a bright square: images, their twins without it, masks and classes."""
    rng = np.random.default_rng(seed)
    twins = rng.normal(0, 0.5, (count, 1, size, size)).astype(np.float32)
    masks, classes = np.zeros((count, size, size), bool), np.arange(count) % 2
    for row in np.flatnonzero(classes):
        top, left = rng.integers(0, size - side, 2)
        masks[row, top : top + side, left : left + side] = True
    images = twins + 1.5 * masks[:, None].astype(np.float32)
    return torch.from_numpy(images), torch.from_numpy(twins), masks, classes


def taught(maker=small_cnn, steps=60, shuffled=False, **facts):
    """Train a small network to tell images with a square from those without, in a second."""
    from medxai_helpers.runtime import seeded

    images, _, _, classes = squares()
    labels = torch.from_numpy(np.random.default_rng(1).permutation(classes) if shuffled else classes)
    model = built(maker, classes=2, **facts)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    with seeded(0):
        for _ in range(steps):
            optimizer.zero_grad()
            functional.cross_entropy(model.train()(images), labels).backward()
            optimizer.step()
    return model.eval()
