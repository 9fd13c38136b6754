"""The homelab with Terraform: the tests are homelab.py's."""

from homelab import *

#: the environment variable that names the program
CLI = "TERRAFORM"
