# What the distribution's element said when the layer below was made.
export DIB_INIT_SYSTEM=systemd
