/*
 * request.c
 *	  What a model's name stands for in this session: a model of the database
 *	  or a directory, and how it is packed.
 */
#include "store/registry.h"

char	   *albert_kernel = NULL;
int			albert_precision = ALBERT_FP32;

void
AlbertRequestMake(const char *name, AlbertRequest *request)
{
	AlbertKey  *key = &request->key;
	AlbertStatus status;

	AlbertModelNameCheck(name);
	memset(request, 0, sizeof(*request));
	strcpy(request->name, name);
	key->precision = albert_precision;
	request->is_object = AlbertObjectFind(name, &request->object);
	if (!request->is_object)
	{
		AlbertRequireDirectories(name);
		strcpy(key->name, name);
		key->path = AlbertPathHash();
	}
	else
	{
		memcpy(key->identity, request->object.identity, ALBERT_SHA256_LEN);
		if (request->object.precision >= 0)
			key->precision = request->object.precision;
	}
	request->kernels = AlbertKernelsFind(albert_kernel, key->precision, &status);
	if (request->kernels == NULL)
		AlbertReport(&status);
	key->kernels = request->kernels->id;
}

void
AlbertRequestFiles(AlbertRequest *request)
{
	if (!request->is_object)
	{
		if (!AlbertModelDirectory(request->name, request->directory))
			AlbertModelMissing(request->name);
	}
	else if (request->object.directory[0] != '\0' &&
			 !AlbertModelDirectory(request->object.directory, request->directory))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FILE),
				 errmsg("the directory of model \"%s\" is not there", request->name),
				 errdetail("The model was made of the directory \"%s\" of albert.model_path.",
						   request->object.directory)));
}
