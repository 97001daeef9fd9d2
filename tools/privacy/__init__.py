"""Personal data: where it stands in a text, and the text without it."""

from antiphon.tools.privacy.detect import Detector, PatternDetector, Span, mask
from antiphon.tools.privacy.urls import shown

__all__ = ["Detector", "PatternDetector", "Span", "mask", "shown"]
