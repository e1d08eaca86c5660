"""A laboratory for gateways: networks of our own, who lives in them, and a record of every packet.

networks.py   a client's, a gateway's and the outside's network, joined by cables; holder.py keeps them
capture.py    frames -> packets -> what each side of a connection said
passed.py     who called whom, and who could read what
hop.py        a stand-in proxy, with hop_protocols.py what it speaks, hop_wire.py and hop_relay.py how it
              carries bytes, hop_script.py what it is told to do wrong
wrong.py      what the laboratory itself finds wrong

Nothing of the gateway is here and nothing of the gateway imports it: its tests, `anongw audit` and scripts
do. Whoever judges by it judges by packets and recorded bytes alone.
"""
