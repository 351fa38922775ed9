"""How long ago a date was, in words."""

from __future__ import annotations

from datetime import datetime, timezone


def age(date: str, now: datetime | None = None) -> str:
    """`today`, `yesterday` or `3 days ago`; the date itself if it is in the future."""
    try:
        then = datetime.strptime(date, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        return f"on {date}" if date else "at an unknown time"
    days = ((now or datetime.now(timezone.utc)) - then).days
    if days < 0:
        return f"on {date[:10]}"
    return ("today", "yesterday")[days] if days < 2 else f"{days} days ago"
