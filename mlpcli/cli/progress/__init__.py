"""How far long work is: a bar on a terminal, sparse lines elsewhere; a training as it is watched."""
