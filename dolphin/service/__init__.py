"""What keeps a workspace running: units of the system, daily jobs, the watchdog, status for other programs."""
