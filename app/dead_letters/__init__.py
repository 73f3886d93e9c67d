"""What operators do with dead letters: see what was refused and why, and send it through again after a fix.

`inventory` lists them and says which are settled; `trial` says whether the present configuration would take an event;
`resend` writes raw records again at the end of their partition, and a note beside each dead letter.
"""
