"""Results for those who show no structured reports: secondary captures and presentation states."""
