/* SPDX-License-Identifier: MIT */
int fr_cmd_status(int argc, char **argv);
int fr_cmd_status(int argc, char **argv)
{
	(void)argc, (void)argv;
	return 0;
}
