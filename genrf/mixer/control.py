from __future__ import annotations
def mixer_control(conditions, sources):
    return []
