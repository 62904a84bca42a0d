internal import Checkpoints

/// MVBench (arXiv 2311.17005): a file per task, named after it.
///
/// The prompt and the reading of answers are those of `mvbench.ipynb`. Five tasks ask about the clip from `start` to
/// `end`; the times of other tasks' files are not used there, and not here.
struct MVBench: Benchmark {
    let maxTokens = 100
    let averageName = "Avg"

    private static let system =
        "Carefully watch the video and pay attention to the cause and sequence of events, the detail and movement of "
        + "objects, and the action and pose of persons. Based on your observations, select the best option that "
        + "accurately addresses the question.\n"

    /// Task, folder of its videos, and whether it has clips, by the file's name.
    static let tasks: [String: (name: String, folder: String, hasClips: Bool)] = [
        "action_antonym": ("Action Antonym", "ssv2_video", false),
        "action_count": ("Action Count", "perception/videos", false),
        "action_localization": ("Action Localization", "sta/sta_video", true),
        "action_prediction": ("Action Prediction", "star/Charades_v1_480", true),
        "action_sequence": ("Action Sequence", "star/Charades_v1_480", true),
        "character_order": ("Character Order", "perception/videos", false),
        "counterfactual_inference": ("Counterfactual Inference", "clevrer/video_validation", false),
        "egocentric_navigation": ("Egocentric Navigation", "vlnqa", false),
        "episodic_reasoning": ("Episodic Reasoning", "tvqa/frames_fps3_hq", true),
        "fine_grained_action": ("Fine-grained Action", "Moments_in_Time_Raw/videos", false),
        "fine_grained_pose": ("Fine-grained Pose", "nturgbd", false),
        "moving_attribute": ("Moving Attribute", "clevrer/video_validation", false),
        "moving_count": ("Moving Count", "clevrer/video_validation", false),
        "moving_direction": ("Moving Direction", "clevrer/video_validation", false),
        "object_existence": ("Object Existence", "clevrer/video_validation", false),
        "object_interaction": ("Object Interaction", "star/Charades_v1_480", true),
        "object_shuffle": ("Object Shuffle", "perception/videos", false),
        "scene_transition": ("Scene Transition", "scene_qa/video", false),
        "state_change": ("State Change", "perception/videos", false),
        "unexpected_action": ("Unexpected Action", "FunQA_test/test", false),
    ]

    func questions(of entry: QuestionEntry) throws -> [EvaluationQuestion] {
        let known = Self.tasks[entry.fileStem]
        let (options, reference) = (try entry.options("candidates"), try entry.text("answer"))
        var (start, end) = (nil as Double?, nil as Double?)
        if known?.hasClips ?? true { (start, end) = (try entry.seconds("start"), try entry.seconds("end")) }
        if let known, known.hasClips {
            if start == nil { throw entry.missing("start") }
            if end == nil { throw entry.missing("end") }
        }
        if let start, let end, start >= end { throw entry.bad("`start` must be before `end`") }
        let folders = known.map { [$0.folder, "video/" + $0.folder] } ?? []
        return [
            EvaluationQuestion(
                id: try entry.optionalText("question_id") ?? "\(entry.fileStem)-\(entry.number)",
                text: try entry.text("question"), options: options, place: "\(entry.file):\(entry.line)",
                video: .init(names: [try entry.videoName("video")], folders: folders), from: start, to: end,
                reference: reference, correct: options.lastIndex(of: reference),
                categories: [.init(kind: "task", name: known?.name ?? entry.fileStem)])
        ]
    }

    func prompt(_ question: EvaluationQuestion) -> (text: String, answerStart: String) {
        (Self.system + Self.listed(question) + "\nOnly give the best option.", "Best option:(")
    }

    func choice(in answer: String, of question: EvaluationQuestion) -> Int? {
        guard let word = Self.option(in: answer) else { return nil }
        return question.options.indices.first { Self.matches(word, $0) }
    }

    func isCorrect(_ answer: String, _ question: EvaluationQuestion) -> Bool {
        guard let correct = question.correct, let word = Self.option(in: answer) else { return false }
        return Self.matches(word, correct)
    }

    /// The first word of the answer's first line in lower case, after the "(" that the prompt ends with.
    ///
    /// Nil if it has no letter of an option: by the notebook's rule an empty word would match every option, which its
    /// authors' later code rules out in the same way.
    private static func option(in answer: String) -> String? {
        let words = firstLine(of: answer).lowercased().split(separator: " ", omittingEmptySubsequences: false)
        guard let word = words.first.map(String.init), word.contains(where: { "abcdefg".contains($0) }) else {
            return nil
        }
        return word
    }

    /// The first line of the answer, after the "(" that the prompt ends with.
    private static func firstLine(of answer: String) -> String {
        "(" + String(answer.trimmingSpaces.split(separator: "\n").first ?? "")
    }

    private static func matches(_ word: String, _ index: Int) -> Bool {
        let option = "(\(EvaluationQuestion.letter(index).lowercased()))"
        return option.contains(word.replacing(".", with: "")) || word.contains(option)
    }

    func predictions(_ results: EvaluationResults, path: String) throws -> String {
        Self.saved(results) { result in
            [
                "pred": .string(Self.firstLine(of: result.answer ?? "")),
                "gt": .string(Self.reference(result.question)),
            ]
        }
    }
}
