"""The life of a turn on record: whose thread, who may run it, what it did, what it cost."""
