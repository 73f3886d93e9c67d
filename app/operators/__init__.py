"""What callstream says to the person who runs it: errors that end a command, times, and lines of escaped text."""
