"""What a score can show: estimates with intervals, runs compared, and what that comparison may claim."""
