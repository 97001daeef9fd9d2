"""The memory manager: a window, a running summary, and long-term facts that can be forgotten."""

from antiphon.tools.memory.items import Digest, Memory, MemoryManager, Recollection

__all__ = ["Digest", "Memory", "MemoryManager", "Recollection"]
