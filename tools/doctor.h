/* `ostler doctor`: what this host offers to a machine, and what to type for what it lacks. */
#ifndef TOOLS_DOCTOR_H
#define TOOLS_DOCTOR_H

/* Prints the findings to stdout.  The exit code: 0 when a guest can run here, 1 otherwise, 2 for arguments that it does not
 * know.  Needs no lock and leaves nothing behind. */
int doctor_main(int argc, char **argv);

#endif
