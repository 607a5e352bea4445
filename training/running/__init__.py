"""What a step needs around it: its folder and report, tracking, the machine it runs on, progress, processes."""
