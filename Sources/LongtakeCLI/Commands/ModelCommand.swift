import ArgumentParser

struct ModelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "model",
        abstract:
            "Download a model, inspect it, check it, compute with its parts, quantize or convert it, create a random one.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake model pull ICTNLP/llava-mini-llama-3.1-8b
              longtake model inspect ~/models/llava-mini-llama-3.1-8b
              longtake model make-random --shape nano --out nano
            """),
        subcommands: [
            ModelPullCommand.self, ModelListCommand.self, ModelRemoveCommand.self, ModelVerifyCommand.self,
            ModelInspectCommand.self, ModelParityCommand.self, ModelTokenizeCommand.self, ModelEmbedCommand.self,
            ModelCheckCommand.self, ModelPerplexityCommand.self, ModelMakeRandomCommand.self, ModelQuantizeCommand.self,
            ModelConvertCommand.self,
        ])
}
