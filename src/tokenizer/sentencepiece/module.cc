/*
 * module.cc
 *	  The sentencepiece library behind a C interface; no exception leaves it.
 */
#include "tokenizer/sentencepiece/module.h"

#include <sentencepiece_processor.h>

#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <vector>

struct Model : AlbertSpiece
{
	sentencepiece::SentencePieceProcessor processor;
	std::vector<AlbertSpiecePiece> list;
};

static AlbertSpieceType
type_of(const sentencepiece::SentencePieceProcessor &processor, int id)
{
	return processor.IsUnknown(id) ? ALBERT_SPIECE_UNKNOWN :
		processor.IsByte(id) ? ALBERT_SPIECE_BYTE :
		processor.IsControl(id) || processor.IsUnused(id) ? ALBERT_SPIECE_OTHER : ALBERT_SPIECE_NORMAL;
}

static AlbertSpiece *
open_model(const void *data, size_t size, char *problem, size_t problem_size)
{
	Model	   *model = nullptr;

	try
	{
		model = new Model;
		const sentencepiece::SentencePieceProcessor &processor = model->processor;
		const auto status = model->processor.LoadFromSerializedProto(
			absl::string_view(static_cast<const char *>(data), size));

		if (status.ok())
		{
			for (int id = 0; id < processor.GetPieceSize(); id++)
			{
				const std::string &text = processor.IdToPiece(id);

				model->list.push_back({text.data(), text.size(), processor.GetScore(id), type_of(processor, id)});
			}
			model->pieces = model->list.data();
			model->piece_count = processor.GetPieceSize();
			return model;
		}
		std::snprintf(problem, problem_size, "%s", status.ToString().c_str());
	}
	catch (const std::exception &error)
	{
		std::snprintf(problem, problem_size, "%s", error.what());
	}
	catch (...)
	{
		std::snprintf(problem, problem_size, "unknown exception");
	}
	delete model;
	return nullptr;
}

static void
close_model(AlbertSpiece *model)
{
	delete static_cast<Model *>(model);
}

static int
encode(const AlbertSpiece *model, const char *text, size_t size, int32_t *ids, int room)
{
	try
	{
		std::vector<int> found;

		if (!static_cast<const Model *>(model)->processor.Encode(absl::string_view(text, size), &found).ok())
			return -1;
		for (size_t i = 0; i < found.size() && i < static_cast<size_t>(room); i++)
			ids[i] = found[i];
		return static_cast<int>(found.size());
	}
	catch (...)
	{
		return -1;
	}
}

extern "C" __attribute__((visibility("default"))) const AlbertSpieceTable AlbertSpieceFunctions3 = {
	open_model, close_model, encode
};
