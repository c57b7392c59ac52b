/*
 * unit.h
 *	  The little that the plain-C tests share: named checks, counted, and an
 *	  exit status.  A failed check prints where and what and the run goes on.
 */
#ifndef ALBERT_UNIT_H
#define ALBERT_UNIT_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static int	unit_passed = 0;
static int	unit_failed = 0;

/* Are the instructions emulated?  Then time is short, and what it takes says nothing. */
#ifdef UNIT_EMULATED
#define UNIT_IS_EMULATED	1
#else
#define UNIT_IS_EMULATED	0
#endif

#define CHECK(condition, ...) \
	do { \
		if (condition) \
			unit_passed++; \
		else \
		{ \
			unit_failed++; \
			printf("%s:%d: ", __FILE__, __LINE__); \
			printf(__VA_ARGS__); \
			printf("\n"); \
		} \
	} while (0)

/* Something is not tested, for a reason that test/may_skip has to know. */
static inline void
unit_skip(const char *format, ...)
{
	va_list		args;

	printf("skipped: ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

/* To be returned from main. */
static inline int
unit_report(void)
{
	printf("%d passed, %d failed\n", unit_passed, unit_failed);
	return unit_failed != 0 || unit_passed == 0;
}

/* The directory test/, as the makefile knows it. */
#ifndef UNIT_TEST_DIRECTORY
#define UNIT_TEST_DIRECTORY "test"
#endif

/* The directory of the reference data. */
static inline const char *
unit_reference(void)
{
	return UNIT_TEST_DIRECTORY "/reference";
}

/* The directory in which test/assemble_models.py has put the models. */
static inline const char *
unit_models(void)
{
	const char *dir = getenv("ALBERT_TEST_MODELS");

	return dir != NULL ? dir : "build/test-models";
}

#endif							/* ALBERT_UNIT_H */
