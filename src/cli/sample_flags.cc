#include "cli/sample_flags.h"

namespace thresher {

SampleSettings UnsetSampleSettings() {
  SampleSettings settings;
  settings.max_tokens = 0;
  settings.variants = 0;
  settings.augment = "";
  return settings;
}

void RegisterSampleSettings(Settings& settings, SampleSettings& t) {
  settings.Add("--documents", t.documents,
               "Plain text: a document is a file, line or paragraph, or ends with separator:TEXT");
  settings.Add("--column", t.column,
               "The field of a record with its content [token_ids, text, messages, examples, or "
               "train and test]");
  settings.Add("--code-column", t.code_column,
               "The field with a task's program, for prompts that show one [code, else source]");

  settings.BeginGroup("Prompts");
  settings.Add("--prompt", t.prompt,
               "The prompt of ARC tasks: a name that thresher prompts --list shows, or the file of "
               "a Jinja template");
  settings.Add(
      "--prompt-end", t.prompt_end,
      "Where a prompt stops: user (after the user's turn), assistant (after the opening of "
      "the answer), prefix:TEXT (after a beginning of it), answer (after the whole right "
      "answer)");
  settings.Add("--grid-encoder", t.grid_encoder,
               "How a grid is written, such as "
               "GridShapeEncoder(RowNumberEncoder(MinimalGridEncoder()))");
  settings.Add("--variants", t.variants,
               "Samples of each ARC task [8; 1 without --augment, and for other data]");
  settings
      .Add("--augment", t.augment,
           "What the variants of an ARC task change: none, or a list of flip, rotate, colors, "
           "order, swap [flip,rotate,colors,order; none with one variant]")
      ->join(',');
  settings.Add("--seed", t.seed, "Seed of everything that is drawn: variants, --tokens fraction");
  settings.Add("--max-tokens", t.max_tokens,
               "Longest sequence, in tokens [2048, or the model's positions if fewer]",
               {"MAX_SEQ_LENGTH"});
  settings.Add("--overlong", t.overlong,
               "A longer sample is cut (truncate), set aside and recorded (reject), or becomes "
               "several sequences (split)");
  settings.Add("--overlap", t.overlap,
               "Tokens that a sequence of a split sample has in common with the one before it");

  settings.BeginGroup("Tokens");
  settings.Add("--tokens", t.tokens,
               "Whose rows are stored: all, last, assistant, after:MARKER, every:K or fraction:P");
  settings.Add("--exclude-tokens", t.exclude_tokens,
               "Which of them are left out: none, bos or special");
}

}  // namespace thresher
