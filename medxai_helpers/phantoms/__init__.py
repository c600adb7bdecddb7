"""The embedded default data: images rendered from real anatomy, with everything about them known.

A phantom teaches a method; a score on it is no evidence about patients.
"""

from medxai_helpers.phantoms.build import PhantomSet, build_phantom
from medxai_helpers.phantoms.catalogue import PHANTOMS, Phantom, phantom_for
from medxai_helpers.phantoms.rendering import Rendering

__all__ = ["PHANTOMS", "Phantom", "PhantomSet", "Rendering", "build_phantom", "phantom_for"]
