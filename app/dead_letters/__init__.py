"""What operators do with dead letters: see what was refused and why, and send it through again after a fix.

`letters` reads them and knows which are settled; `trial` says whether the present configuration would take an event;
`resend` puts raw records at the end of their partition, and a note beside the letter.
"""
